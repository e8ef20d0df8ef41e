"""Something to play with, and the same thing to look at where nobody can play.

A `Live` holds static HTML and a way to make a widget. In a notebook with a kernel the output
carries both and the front end shows the widget; the stored notebook keeps the static part
alone, which is what a reader on the web, or one who has not run the cell yet, sees.
"""

from collections.abc import Callable

VIEW = "application/vnd.jupyter.widget-view+json"


class Live:
    """`html` and `text` for readers without a kernel, `make()` for those with one: it returns
    an ipywidget. The widget is made when first asked for; `live.widget` is that widget."""

    def __init__(self, html: str, text: str, make: Callable):
        self.html, self.text, self._make = html, text, make
        self._widget = None

    @property
    def widget(self):
        if self._widget is None:
            self._widget = self._make()
        return self._widget

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        bundle = {"text/plain": self.text, "text/html": self.html}
        try:
            model_id = self.widget.model_id
        except ImportError:  # no ipywidgets: the static part is what there is
            return bundle
        return {VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id}} | bundle
