"""What people look at: pictures, tables and one self-contained HTML page.

`pictures` draws, `tables` formats numbers once for terminal, Markdown and HTML, `html` builds a
page that needs no network and no script, `localization` puts a localization report together.
"""
