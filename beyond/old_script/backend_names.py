"""The functions of the old `keras.backend`, and what Keras 3 has in their place."""

from .words import words

# In `keras.backend` of today.
TODAY = set(
    words(
        "backend clear_session epsilon floatx image_data_format is_float_dtype "
        "is_int_dtype is_keras_tensor result_type set_epsilon set_floatx "
        "set_image_data_format standardize_dtype get_uid"
    )
)
# In `tensorflow.keras.backend` of today, for TensorFlow only.
LEGACY = set(
    words(
        "abs all any arange argmax argmin batch_dot batch_flatten batch_get_value "
        "batch_normalization batch_set_value bias_add binary_crossentropy "
        "binary_focal_crossentropy cast cast_to_floatx categorical_crossentropy "
        "categorical_focal_crossentropy clip concatenate constant conv1d conv2d "
        "conv2d_transpose conv3d cos count_params ctc_batch_cost ctc_decode "
        "ctc_label_dense_to_sparse cumprod cumsum depthwise_conv2d dot dropout "
        "dtype elu equal eval exp expand_dims eye flatten foldl foldr gather "
        "get_value gradients greater greater_equal hard_sigmoid in_top_k "
        "int_shape is_sparse l2_normalize less less_equal log map_fn max maximum "
        "mean min minimum moving_average_update name_scope ndim not_equal one_hot "
        "ones ones_like permute_dimensions pool2d pool3d pow prod "
        "random_bernoulli random_normal random_normal_variable random_uniform "
        "random_uniform_variable relu repeat repeat_elements reshape "
        "resize_images resize_volumes reverse rnn round separable_conv2d "
        "set_value shape sigmoid sign sin softmax softplus softsign "
        "sparse_categorical_crossentropy spatial_2d_padding spatial_3d_padding "
        "sqrt square squeeze stack std stop_gradient sum switch tanh "
        "temporal_padding tile to_dense transpose truncated_normal update "
        "update_add update_sub var variable zeros zeros_like"
    )
)
# The same arguments in the same order, so only the name changes: old -> name in `keras.ops`.
SAME = {
    **{
        name: name
        for name in words(
            "abs all any cast cos equal exp greater greater_equal less less_equal log "
            "max maximum mean min minimum not_equal ones_like prod relu reshape round "
            "shape sigmoid sign sin softmax softplus softsign sqrt square squeeze "
            "stack std stop_gradient sum tanh tile transpose var zeros_like "
            "binary_crossentropy elu"
        )
    },
    "permute_dimensions": "transpose",
    "pow": "power",
}
# What a rule writes in another way (see rules/backend.py).
OTHER = set(
    words(
        "argmax argmin clip concatenate expand_dims flatten batch_flatten dot "
        "gather int_shape ndim one_hot repeat_elements random_normal "
        "random_uniform get_value set_value l2_normalize image_dim_ordering "
        "set_image_dim_ordering set_learning_phase set_session eval variable "
        "categorical_crossentropy sparse_categorical_crossentropy "
        "in_train_phase bias_add "
        "tensorflow_backend get_session manual_variable_initialization constant batch_dot "
        "zeros ones truncated_normal logsumexp"
    )
)


def only_legacy(used: set[str]) -> set[str]:
    """Those of the used functions that only `tensorflow.keras` still has.

    >>> only_legacy({"mean", "epsilon", "ctc_batch_cost"})
    {'ctc_batch_cost'}
    """
    return {name for name in used if name in LEGACY and name not in SAME and name not in OTHER}
