"""The style sheet of a report: readable on a phone, in the dark and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d1c1a; --soft: #65625c; --line: #e3dfd7;
  --accent: #1f5f8b; --track: #e9e5dc; --other: #a9a49a; --wash: #eef4f8;
  --s0: #1f5f8b; --s1: #c2500a; --s2: #2b8a5b; --s3: #a8457f; --s4: #8a6d00; --s5: #5b5fc7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16171a; --card: #1e2024; --ink: #e9e7e2; --soft: #a3a098; --line: #33363c;
    --accent: #7cb8e0; --track: #2d3036; --other: #74767c; --wash: #1d2932;
    --s0: #7cb8e0; --s1: #f0935a; --s2: #6cc99a; --s3: #e591c0; --s4: #d8bb4a; --s5: #a5a8f5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: break-word;
}
main { max-width: 68rem; margin: 0 auto; padding: 3rem 1.25rem 5rem; }
h1, h2, .headline b {
  font-family: Charter, "Bitstream Charter", "Iowan Old Style", Cambria, Georgia, serif;
  line-height: 1.2; text-wrap: balance;
}
h1 { font-size: clamp(1.9rem, 5vw, 2.75rem); font-weight: 600; margin: 0 0 .5rem; }
h2 { font-size: 1.5rem; font-weight: 600; margin: 3.5rem 0 .75rem; }
h3 { font-size: 1.05rem; font-weight: 600; margin: 2rem 0 .5rem; }
p { max-width: 42rem; margin: .5rem 0 1rem; }
.lead { color: var(--soft); font-size: 1.1rem; margin-top: 0; }
.headline {
  display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.5rem;
  margin: 2.5rem 0 1.5rem; max-width: none;
}
.headline b {
  font-size: clamp(3.5rem, 12vw, 5.5rem); font-weight: 600; line-height: 1; color: var(--accent);
  font-variant-numeric: lining-nums;
}
.headline span { flex: 1 1 16rem; max-width: 34rem; }
.bars { list-style: none; margin: 0 0 2rem; padding: 0; display: grid; gap: .6rem; }
.bars li {
  display: grid; grid-template-columns: minmax(8rem, 20rem) minmax(6rem, 1fr) 3.2rem;
  gap: .15rem 1rem; align-items: center; line-height: 1.35;
}
.bars .value { text-align: right; font-variant-numeric: tabular-nums; }
.bars .strong { font-weight: 600; }
.bars svg { display: block; width: 100%; height: 18px; overflow: visible; }
.track { fill: var(--track); }
.bar { fill: var(--other); }
.strong .bar { fill: var(--accent); }
.bar.hollow { fill: var(--card); stroke: var(--other); stroke-width: 1.5; }
.whisker { stroke: var(--ink); stroke-width: 1.5; }
.charts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr));
  gap: 1.25rem 2.5rem; margin: 1.25rem 0;
}
.drawn { max-width: 30rem; }
svg.chart { display: block; width: 100%; height: auto; overflow: visible; }
svg.chart text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.bar.set { fill: var(--accent); }
.rule { stroke: var(--line); stroke-width: 1; }
.diagonal { stroke: var(--other); stroke-width: 1; stroke-dasharray: 4 3; fill: none; }
.dots { stroke: var(--other); stroke-width: 4; stroke-linecap: round; stroke-opacity: .6; }
.curve { fill: none; stroke: currentColor; stroke-width: 2; }
.mark { fill: currentColor; }
path.whisker { stroke: currentColor; stroke-opacity: .55; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); }
.s3 { color: var(--s3); } .s4 { color: var(--s4); } .s5 { color: var(--s5); }
.key { width: 30px; height: 12px; margin-right: .5em; }
dl { margin: 1rem 0; max-width: 48rem; font-size: .95rem; line-height: 1.45; }
dl div { display: grid; grid-template-columns: 11rem 1fr; gap: .15rem 1rem; padding: .3rem 0; }
dt { font-weight: 500; }
dd { margin: 0; color: var(--soft); }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; min-width: 60%; font-size: .95rem; line-height: 1.4; }
th, td {
  padding: .5rem .9rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
}
th:first-child, td:first-child { padding-left: .25rem; }
thead th {
  color: var(--soft); font-weight: 500; font-size: .85rem; vertical-align: bottom;
  border-bottom: 2px solid var(--line);
}
tbody th { font-weight: 400; min-width: 9rem; }
td.number, th.number {
  text-align: right; font-variant-numeric: tabular-nums lining-nums; white-space: nowrap;
}
.dense table { font-size: .82rem; }
.dense thead th { font-size: .76rem; }
.dense th, .dense td { padding: .4rem .5rem; }
.dense th.number { white-space: normal; }
tr.strong { background: var(--wash); }
tr.strong th, tr.strong td { font-weight: 600; }
.gallery {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(11.5rem, 45%), 1fr));
  gap: 1.25rem 1rem; margin: 1.25rem 0;
}
.gallery.wide { grid-template-columns: repeat(auto-fill, minmax(min(19.5rem, 100%), 1fr)); }
figure { margin: 0; break-inside: avoid; }
section > figure { margin: 1.5rem 0; }
.frames { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 4px; }
img {
  display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  background: var(--track); border-radius: 4px;
}
figcaption { font-size: .85rem; line-height: 1.4; margin-top: .4rem; }
figcaption span { display: block; color: var(--soft); font-variant-numeric: tabular-nums; }
.legend {
  display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; color: var(--soft); font-size: .9rem;
}
.legend i {
  display: inline-block; width: 1.6em; height: 1em; margin-right: .5em; vertical-align: -.12em;
  border: 2.5px solid;
}
details { border-top: 1px solid var(--line); padding: .25rem 0; }
details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: .5rem .25rem; font-weight: 500; }
summary:focus-visible { outline: 2px solid var(--accent); }
pre {
  overflow-x: auto; margin: .5rem 0 1rem; padding: 1rem; border-radius: 6px;
  background: var(--card); border: 1px solid var(--line);
  font: .82rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (max-width: 40rem) {
  .frames.many { grid-auto-flow: row; grid-template-columns: 1fr 1fr; }
  body { font-size: 16px; }
  main { padding-top: 2rem; }
  .bars li { grid-template-columns: 1fr 3.2rem; }
  .bars .name { grid-column: 1 / -1; }
  dl div { grid-template-columns: 1fr; gap: 0; }
  th, td { padding: .45rem .55rem; }
  th.number { white-space: normal; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc;
    --accent: #1f5f8b; --track: #e6e6e6; --other: #999; --wash: #f0f0f0;
    --s0: #1f5f8b; --s1: #c2500a; --s2: #2b8a5b; --s3: #a8457f; --s4: #8a6d00; --s5: #5b5fc7;
  }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  tr, .headline, .bars { break-inside: avoid; }
  .scroll, pre { overflow: visible; }
  pre { white-space: pre-wrap; }
  .track, .bar, .legend i, img, tr.strong {
    print-color-adjust: exact; -webkit-print-color-adjust: exact;
  }
}
"""
