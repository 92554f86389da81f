"""The style of the page: light and dark by the reader's setting, readable on a phone, nothing fetched.

Wide tables scroll inside their frame, each plot comes in two widths, of which the style shows one.
"""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --bg: #fff; --card: #f4f6f8; --fg: #16202a; --muted: #5a6773; --grid: #dfe4e8;
  --line: #0b5cad; --band: #9cc3ea; --gap: #e3dccb; --warn: #b3261e; --second: #e08a1e; }
@media (prefers-color-scheme: dark) { :root { --bg: #12171c; --card: #1c242c; --fg: #e6ebf0; --muted: #9aa7b3;
  --grid: #2c3640; --line: #7db8f5; --band: #2f5c8a; --gap: #3d382b; --warn: #ff8a80; --second: #f0a848; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--bg); color: var(--fg); font: 16px/1.45
  system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .2rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; }
.muted, small { color: var(--muted); }
.headline { font-size: 1.15rem; font-weight: 600; }
.warn { border-left: 4px solid var(--warn); padding: .3rem .8rem; background: var(--card); margin: .8rem 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1rem
  0; }
.cards div { background: var(--card); border-radius: .5rem; padding: .5rem .7rem; }
.cards b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.cards div > span { color: var(--muted); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .8rem 0; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .28rem .55rem; border-bottom: 1px solid var(--grid); white-space: nowrap;
  vertical-align: top; }
th { color: var(--muted); font-weight: 600; }
tr > :first-child { text-align: left; white-space: normal; min-width: 8rem;
  position: sticky; left: 0; background: var(--bg); }
td.left, th.left { text-align: left; }
td small { display: block; font-family: ui-monospace, monospace; font-size: .72rem; }
summary { cursor: pointer; list-style: none; text-decoration: underline dotted; }
summary::-webkit-details-marker { display: none; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card); padding: .6rem; font-size: .8rem;
  margin: .3rem 0; max-width: 72rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font-family: inherit; }
.narrow { display: none; }
@media (max-width: 640px) { .wide { display: none; } .narrow { display: block; } body { padding: .7rem; } dl {
  grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; } }
@media print { .wide { display: block; } .narrow { display: none; } }
"""
