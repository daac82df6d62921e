"""What people look at: pictures, tables, charts, one self-contained HTML page and its text.

`pictures` draws and `sheets` puts pictures side by side; `tables` formats numbers once for
terminal, Markdown and HTML; `charts` draws them; `html` builds a page that needs no network and no
script. `localization`, `segmentation` and `class_models` put the pages together: of the first,
`measures` is the table at the top, `anatomy` where the localizer fails, `figures` the pictures and
`learning_curve` how many boxes it needs; `markdown` is the same as text.
"""
