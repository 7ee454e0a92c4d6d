"""Pictures that are read from files."""

import libcst as cst

from ..literals import literal
from .base import CallRule

COLORS = {"True": "'grayscale'", "False": "'rgb'"}
WHY = "its name since Keras 2.2"


class GrayPictures(CallRule):
    """Read a picture in gray by the argument of today.

    Before:
        from keras.preprocessing.image import load_img
        model.fit(x, y, nb_epoch=1)
        def read(path):
            return load_img(path, grayscale=True, target_size=(8, 8))
    After:
        from keras.preprocessing.image import load_img
        model.fit(x, y, epochs=1)
        def read(path):
            return load_img(path, color_mode='grayscale', target_size=(8, 8))
    """

    functions = ("keras.preprocessing.image.load_img", "keras.utils.load_img")

    def change(self, call):
        gray = call.keyword("grayscale")
        if gray is not None and call.keyword("color_mode") is not None:
            call.drop("grayscale", "color_mode says it")
        elif gray is not None:
            call.rename("grayscale", "color_mode", WHY, made=self._color(call, gray))
        elif not call.starred and len(call.positional) > 1:
            self._by_place(call)

    def _color(self, call, gray):
        code = call.code(gray)
        return COLORS.get(code) or f"'grayscale' if {code} else 'rgb'"

    def _by_place(self, call):
        """The second was `grayscale`, and the third `target_size` or `color_mode`."""
        second = call.original.args[1].value
        if call.code(second) not in COLORS:
            return
        third = call.original.args[2].value if len(call.positional) > 2 else None
        names = ["color_mode", "target_size", "interpolation"]
        if literal(third) is not None:
            names = ["grayscale", *names]
        call.name_positional(names, 1, 1)
        if names[0] == "grayscale":
            call.drop("grayscale", "color_mode says it")
            return
        color = self._color(call, second)
        call.put("color_mode", cst.parse_expression(color))
        call.change(call.code(second), f"color_mode={color}", WHY)
