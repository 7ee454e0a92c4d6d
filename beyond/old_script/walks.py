"""Walks that leave out what no rule looks at: white space, commas, operators."""

import libcst as cst

_LEFT_OUT = {
    cst.SimpleWhitespace,
    cst.ParenthesizedWhitespace,
    cst.TrailingWhitespace,
    cst.EmptyLine,
    cst.Newline,
    cst.Comment,
    cst.Comma,
    cst.Dot,
    cst.Colon,
    cst.AssignEqual,
    cst.Semicolon,
    cst.Integer,
    cst.Float,
    cst.Name,
    cst.LeftParen,
    cst.RightParen,
    cst.LeftSquareBracket,
    cst.RightSquareBracket,
    cst.Add,
    cst.Subtract,
    cst.Multiply,
    cst.Divide,
    cst.Equal,
    cst.NotEqual,
}


class Visitor(cst.CSTVisitor):
    """A visitor of statements and expressions."""

    def on_visit(self, node):
        return False if type(node) in _LEFT_OUT else super().on_visit(node)

    def on_leave(self, original_node):
        if type(original_node) not in _LEFT_OUT:
            super().on_leave(original_node)

    def on_visit_attribute(self, node, attribute):
        pass

    def on_leave_attribute(self, original_node, attribute):
        pass


class Transformer(cst.CSTTransformer):
    """A transformer of statements and expressions."""

    def on_visit(self, node):
        return False if type(node) in _LEFT_OUT else super().on_visit(node)

    def on_leave(self, original_node, updated_node):
        if type(original_node) in _LEFT_OUT:
            return updated_node
        return super().on_leave(original_node, updated_node)

    def on_visit_attribute(self, node, attribute):
        pass

    def on_leave_attribute(self, original_node, attribute):
        pass
