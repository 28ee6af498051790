"""What is measured in the page: the contrast of every text, what sticks out of the window, and the tabs."""

from typing import Final

# Texts in view whose contrast is below the 4.5 of WCAG AA: each once, with its ratio.
FAINT: Final = """() => {
  const parse = (text) => { const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a ?? 1]; };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (each) => {
    const sheets = [];
    for (let at = each; at; at = at.parentElement) sheets.unshift(parse(getComputedStyle(at).backgroundColor));
    return sheets.reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const isSeen = (each) => {
    const { left, right, top, bottom, width, height } = each.getBoundingClientRect();
    return width && height && right > 0 && bottom > 0 && left < innerWidth && top < innerHeight &&
      each.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  const texts = [...document.querySelectorAll('body *')].filter((each) =>
    [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
    isSeen(each) && !each.closest('script, style, option, optgroup, .monaco-aria-container'));
  const found = texts.map((each) => {
    const under = paper(each);
    const pair = [light(over(parse(getComputedStyle(each).color), under)), light(under)].sort((a, b) => b - a);
    return [each, (pair[0] + 0.05) / (pair[1] + 0.05)];
  });
  const faint = found.filter(([, ratio]) => ratio < 4.5);
  return { looked: texts.length, faint: [...new Set(faint.map(([each, ratio]) => `${ratio.toFixed(2)} ${each.outerHTML.slice(0, 90)}`))] };
}"""

OUTSIDE: Final = """() => [...document.querySelectorAll('.bar *, .graphiql-sidebar *, .graphiql-toolbar *, .graphiql-response, .graphiql-editors, .graphiql-plugin, .graphiql-dialog, .graphiql-dialog *')]
  .filter((each) => each.getBoundingClientRect().width && each.getBoundingClientRect().right > innerWidth + 0.5)
  .map((each) => each.outerHTML.slice(0, 80))"""
CLIPPED: Final = """(name) => { const box = document.querySelector(name); return box.scrollWidth - box.clientWidth; }"""

TABS: Final = "() => [...document.querySelectorAll('[role=tab]')].map((each) => each.innerText.trim())"
ACTIVE_TAB: Final = """() => {
  const tab = document.querySelector('[role=tab][aria-selected="true"]'), all = tab.closest('.graphiql-tabs').parentElement;
  const [inner, outer] = [tab.getBoundingClientRect(), all.getBoundingClientRect()];
  return { title: tab.innerText.trim(), isInView: inner.left >= outer.left - 1 && inner.right <= outer.right + 1 };
}"""
