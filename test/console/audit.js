/**
 * Runs in the browser: what a page must not get wrong for a reader who sees poorly, uses a keyboard or a
 * screen reader. Finds the defects that a machine can be sure of; returns one line each.
 */
globalThis.auditPage = () => {
  const found = [];
  const all = [...document.querySelectorAll("body *")].filter(isVisible);
  const say = (element, what) => found.push(`${describe(element)}: ${what}`);

  if (!document.documentElement.lang) found.push("html: no language");
  if (document.querySelectorAll("h1").length !== 1) found.push("page: not exactly one h1");
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) found.push(`page: ${scrollWidth - clientWidth}px wider than the screen`);

  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) found.push(`#${id}: twice`);

  let level = 0;
  for (const heading of all.filter(({ tagName }) => /^H[1-6]$/.test(tagName))) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say(heading, `h${own} follows h${level}`);
    level = own;
  }
  for (const element of all) {
    if (element.matches("button, a[href], input, select, textarea") && !nameOf(element))
      say(element, "no name");
    if (element.matches("svg:not([aria-hidden])") && !nameOf(element)) say(element, "picture without a name");
    if (element.matches("[role=img]") && !nameOf(element)) say(element, "picture without a name");
    if (element.matches("button, a[href], select") && element.getBoundingClientRect().height < 20) {
      if (!element.closest("p, li, dd, th")) say(element, "too small to hit");
    }
    const contrast = contrastOf(element);
    if (contrast !== undefined) say(element, `contrast ${contrast.toFixed(2)}`);
  }
  return found;
};

function isVisible(element) {
  return element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
}

function describe(element) {
  const text = element.textContent.trim().slice(0, 30);
  return `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}"> ${text}`;
}

function nameOf(element) {
  const labels = [...(element.labels ?? [])].map((label) => label.textContent).join("");
  const by = element.getAttribute("aria-labelledby");
  const referred = by ? document.getElementById(by)?.textContent : "";
  const own = element.matches("input, select, textarea") ? "" : element.textContent;
  return (element.getAttribute("aria-label") || referred || labels || own).trim();
}

/** The contrast of the element's own text when it is below WCAG's AA; undefined otherwise. */
function contrastOf(element) {
  const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!hasText || element.matches(":disabled, :disabled *")) return undefined;
  const { color, fontSize, fontWeight } = getComputedStyle(element);
  const size = Number.parseFloat(fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700);
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const background = parse(getComputedStyle(at).backgroundColor);
    layers.push(background);
    if (background[3] === 1) break;
  }
  const behind = layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  const [a, b] = [luminance(over(parse(color), behind)), luminance(behind)].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  return contrast < (isLarge ? 3 : 4.5) ? contrast : undefined;
}

function parse(color) {
  const [r = 0, g = 0, b = 0, alpha = 1] = (color.match(/[\d.]+(?:e-?\d+)?/g) ?? []).map(Number);
  const scale = color.startsWith("color(") ? 255 : 1;
  return [r * scale, g * scale, b * scale, alpha];
}

function over([r, g, b, alpha], [r2, g2, b2]) {
  const mix = (top, below) => top * alpha + below * (1 - alpha);
  return [mix(r, r2), mix(g, g2), mix(b, b2), 1];
}

function luminance(rgb) {
  const [r, g, b] = rgb.slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
