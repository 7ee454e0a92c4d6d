"""Words and calls that say how old a script is, and what is a model in it."""

from .words import words

KERAS_1 = set(
    words(
        "nb_epoch samples_per_epoch nb_val_samples border_mode subsample "
        "nb_filter nb_row nb_col output_dim init W_regularizer b_regularizer "
        "dim_ordering inner_init inner_activation filter_length pool_length "
        "max_q_size pickle_safe nb_worker concat_axis"
    )
)
KERAS_2 = set(
    words(
        "epochs kernel_initializer padding strides units filters kernel_size steps_per_epoch "
        "validation_steps kernel_regularizer data_format use_bias recurrent_dropout workers"
    )
)
MODEL_MAKERS = {"keras.Sequential", "keras.Model", "keras.models.Sequential"} | {
    "keras.models.Model",
    "keras.models.load_model",
    "keras.models.model_from_json",
    "keras.models.model_from_yaml",
    "keras.models.clone_model",
    "keras.models.Graph",
}
MODEL_METHODS = {
    "compile",
    "train_on_batch",
    "save_weights",
    "load_weights",
    "to_json",
    "to_yaml",
    "get_layer",
}
CHANGES_RATE = {"keras.callbacks.LearningRateScheduler", "keras.callbacks.ReduceLROnPlateau"}
