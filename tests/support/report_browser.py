#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks at a page of `kbuild report` in a headless Chromium: report_browser.py CHROMIUM PAGE FOLDER [--quick] TEXT....

The page itself has no script and its policy forbids any. So that it can be measured, a copy is loaded without the
policy, with a script that writes what it finds into the document. Then the page as it is is photographed in light, in
dark, and narrow, and printed. Prints what is wrong, and ends with status 1 if something is. Each TEXT must be there.
--quick: it is measured only.
"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

chromium, page, folder = sys.argv[1:4]
quick = "--quick" in sys.argv[4:5]
texts = sys.argv[5:] if quick else sys.argv[4:]
wrong = []

MEASURE = """<script>
addEventListener('load', () => {
  const all = [...document.querySelectorAll('*')];
  const found = {
    wide: document.documentElement.scrollWidth - innerWidth,
    scripts: document.scripts.length - 1,
    handlers: all.filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length,
    odd: [...new Set(all.map(e => e.localName))].filter(n => n.includes('evil')).length,
    texts: TEXTS.filter(t => !document.body.textContent.includes(t)).length,
    bars: document.querySelectorAll('.lane i').length,
    outside: [...document.querySelectorAll('.lane')].filter(l => [...l.querySelectorAll('i')].some(i => {
      const a = i.getBoundingClientRect(), b = l.getBoundingClientRect();
      return a.left < b.left - 3 || a.right > b.right + 3 || !a.width;
    })).length,
    nameless: [...document.querySelectorAll('a,summary,[tabindex]')].filter(
      e => !e.textContent.trim() && !e.getAttribute('aria-label')).length,
    dangling: [...document.querySelectorAll('a[href^="#"]')].filter(
      a => !document.getElementById(decodeURIComponent(a.getAttribute('href').slice(1)))).length,
    twice: all.filter(e => e.id && document.querySelectorAll('#' + CSS.escape(e.id)).length > 1).length,
  };
  const out = document.createElement('pre');
  out.id = 'found';
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
</script>"""


def run(*options, of=page):
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                   "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", *options, "file://" + of]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout


def script_texts():
    """As they can stand in a script."""
    return json.dumps(texts).replace("<", "\\u003c")


def measure(width):
    html = open(page, encoding="utf-8").read()
    html = re.sub(r"<meta http-equiv=[^>]*>", "", html, count=1)
    html = html.replace("<style>", MEASURE.replace("TEXTS", script_texts()) + "<style>", 1)
    copy = os.path.join(folder, "measured.html")
    with open(copy, "w", encoding="utf-8") as out:
        out.write(html)
    dom = run(f"--window-size={width},900", "--dump-dom", of=copy)
    found = re.search(r'<pre id="found">(.*?)</pre>', dom)
    if not found:
        wrong.append(f"{width}: the page was not loaded")
        return
    found = json.loads(found[1].replace("&amp;", "&"))
    print(width, found)
    for name in ("scripts", "handlers", "odd", "outside", "nameless", "dangling", "twice"):
        if found[name]:
            wrong.append(f"{width}: {name}: {found[name]}")
    if found["wide"] > 0:
        wrong.append(f"{width}: the page is {found['wide']} pixels too wide")
    if found["texts"] or not found["bars"]:
        wrong.append(f"{width}: {found['texts']} of the texts are not there, or no bars")


def pixels(path):
    """The bytes of a PNG of 8 bits a channel, without filters undone: for averages of its first pixels they do."""
    data, at, idat, head = open(path, "rb").read(), 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            head = struct.unpack(">IIBB", body[:10])
        idat += body if kind == b"IDAT" else b""
        at += 12 + length
    return head, zlib.decompress(idat)


def photograph(name, width, height, *options):
    path = os.path.join(folder, name + ".png")
    run(f"--window-size={width},{height}", f"--screenshot={path}", *options)
    if not os.path.exists(path):
        wrong.append(f"{name}: no screenshot")
        return 0
    head, raw = pixels(path)
    if len(zlib.compress(raw)) < 3000:
        wrong.append(f"{name}: nothing is drawn")
    return raw[1] if head else 0  # the red of the first pixel, the page's ground


def look():
    light = photograph("light", 1300, 1800)
    dark = photograph("dark", 1300, 1800, "--blink-settings=preferredColorScheme=0")
    photograph("narrow", 420, 1800)
    if light < 200 or dark > 60:
        wrong.append(f"the ground is {light} in light and {dark} in dark")
    printed = os.path.join(folder, "printed.pdf")
    run(f"--print-to-pdf={printed}")
    if not os.path.exists(printed) or os.path.getsize(printed) < 5000:
        wrong.append("it cannot be printed")


for size in (1300, 400):
    measure(size)
if not quick:
    look()
print("\n".join(wrong))
sys.exit(bool(wrong))
