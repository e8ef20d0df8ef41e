"""Controls within everybody's reach: what ipywidgets leaves out, put in by a few lines in the page.

For a screen reader a slider of ipywidgets has no name, nor has a line without a label, and the
slider tells the place of its handle in place of its value; options to choose from have no question,
and are no group; words that change are not read out, and stand far apart; and in JupyterLab an
arrow key in a list of options moves to another cell. There is no setting for any of it, so a box's
last child, unseen, carries JavaScript that mends the box it stands in, and goes on doing so as the
box changes. Where scripts are not run, all is as it was.

    box = VBox([*controls, spoken(sentence), picture, reach()])
"""

from llamalab.course.figures import palette

SAYS = "llamalab-says"  # the class of a widget whose words are read out when they change
ASKS = "llamalab-asks"  # and of one whose words are the question that the options answer

MEND = """
(() => {
  const give = (node, name, value) => {
    if (node && value && node.getAttribute(name) !== value) node.setAttribute(name, value);
  };
  const mend = (box) => {
    for (const slider of box.querySelectorAll('.widget-slider')) {
      const handle = slider.querySelector('.noUi-handle');
      const readout = slider.querySelector('.widget-readout');
      const name = slider.querySelector('.widget-label')?.textContent;
      give(handle, 'aria-label', name);
      give(handle, 'aria-valuetext', readout?.textContent);
      give(readout, 'role', 'textbox');
      give(readout, 'aria-label', name && name + ', typed');
    }
    for (const line of box.querySelectorAll('.widget-text input')) {
      if (!line.labels[0]?.textContent) give(line, 'aria-label', line.placeholder);
    }
    for (const radios of box.querySelectorAll('.widget-radio-box')) {
      give(radios, 'role', 'radiogroup');
      give(radios, 'aria-label', box.querySelector('.ASKS .widget-html-content')?.textContent);
      for (const one of radios.querySelectorAll('input')) give(one, 'name', group);
    }
    for (const bar of box.querySelectorAll('.progress')) {
      const name = bar.parentElement.querySelector('.widget-label')?.textContent;
      give(bar, 'role', 'img');
      give(bar, 'aria-label', name && 'a bar: ' + name);
    }
    for (const words of box.querySelectorAll('.widget-html-content')) words.style.lineHeight = 1.4;
    for (const words of box.querySelectorAll('.SAYS .widget-html-content'))
      give(words, 'role', 'status');
    for (const options of box.querySelectorAll('select, input[type=radio]'))
      give(options, 'data-lm-suppress-shortcuts', 'true');
  };
  const start = (tries) => {
    const box = here.closest('.widget-vbox');
    if (!box && tries) return setTimeout(start, 100, tries - 1);
    if (!box) return;
    mend(box);
    const all = {childList: true, subtree: true, characterData: true, attributes: true,
                 attributeFilter: ['aria-valuetext']};
    new MutationObserver(() => mend(box)).observe(box, all);
  };
  const here = element[0] || element, group = 'g' + Math.random();
  start(100);
})();
""".replace("SAYS", SAYS).replace("ASKS", ASKS)


def reach():
    """An unseen ipywidget that mends the VBox whose child it is."""
    import ipywidgets

    script = {"output_type": "display_data", "metadata": {},
              "data": {"application/javascript": MEND, "text/plain": ""}}  # fmt: skip
    return ipywidgets.Output(outputs=(script,), layout=ipywidgets.Layout(display="none"))


def easy_to_hold(control):
    """A slider, list or line, with room for its label, a handle that is seen on white, and its
    label as the tooltip (else that is "null")."""
    control.style.description_width = "9em"
    control.style.handle_color = palette.BLUE
    control.tooltip = control.description
    return control


def spoken(widget):
    """The widget; what it says is read out when it changes."""
    widget.add_class(SAYS)
    return widget


def asking(widget):
    """The widget; what it says is the question to the options below it."""
    widget.add_class(ASKS)
    return widget
