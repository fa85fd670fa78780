"""Aligns the tables of notebooks: words to the left, numbers to the right, headers as their cells.

JupyterLab aligns all cells to the right, whatever they hold.
"""

from __future__ import annotations

import copy
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell
    from pandas.io.formats.style import Styler


def align_tables(shell: InteractiveShell) -> None:
    """Lets a kernel show tables of pandas aligned. A second call changes nothing.

    Args:
        shell: The kernel's shell.
    """
    formatter = shell.display_formatter.formatters["text/html"]
    # By name, since not every notebook needs pandas. Its third version calls the class otherwise.
    formatter.for_type_by_name("pandas", "DataFrame", format_frame)
    formatter.for_type_by_name("pandas.core.frame", "DataFrame", format_frame)
    formatter.for_type_by_name("pandas.io.formats.style", "Styler", format_styler)


def format_frame(table: pd.DataFrame) -> str | None:
    """Writes a table in HTML as pandas does, aligned.

    Args:
        table: The table.

    Returns:
        HTML, the same for the same table; None if pandas is set to write none.

    Example:

        >>> import pandas as pd
        >>> html = format_frame(pd.DataFrame({"text": ["exit"], "edits": [1]}))
        >>> ":is(th:nth-child(2), td:nth-of-type(1)) { text-align: left; }" in html
        True
    """
    import pandas as pd

    html = table._repr_html_()
    if html is None:
        return None
    own, levels = f"t{zlib.crc32(html.encode()):08x}", table.index.nlevels
    rules = [f"#{own} :is(th, td) {{ text-align: right; }}"]
    for level in _find_words(table.index.get_level_values(level) for level in range(levels)):
        rules.append(f"#{own} th:nth-child({level + 1}) {{ text-align: left; }}")
    most = pd.get_option("display.max_columns") or len(table.columns)
    # Below several rows of headers, or where columns are left out, a cell has another place.
    is_plain = table.columns.nlevels == 1 and len(table.columns) <= most
    for column in _find_words(series for _, series in table.items()) if is_plain else ():
        cells = f":is(th:nth-child({levels + column + 1}), td:nth-of-type({column + 1}))"
        rules.append(f"#{own} {cells} {{ text-align: left; }}")
    style = "".join(f"    {rule}\n" for rule in rules)
    return html.replace("<div>", f'<div id="{own}">', 1).replace("</style>", f"{style}</style>", 1)


def format_styler(styler: Styler) -> str:
    """Writes a styled table in HTML, aligned but for what its own style says.

    Args:
        styler: The table. It stays as it is.

    Returns:
        HTML.
    """
    table = styler.data
    levels = (table.index.get_level_values(level) for level in range(table.index.nlevels))
    kinds = (".row_heading", ".index_name")
    left = [f"{kind}.level{level}" for level in _find_words(levels) for kind in kinds]
    left += [f".col{column}" for column in _find_words(series for _, series in table.items())]
    # `:where` counts for nothing, so that a style of a cell, which comes later, is stronger.
    sides = {":where(th)": "right", ":where(td)": "right"}
    sides |= {f":where({cell})": "left" for cell in left}
    rules = [{"selector": cell, "props": f"text-align: {side};"} for cell, side in sides.items()]
    return copy.deepcopy(styler).set_table_styles(rules, overwrite=False).to_html()


def _find_words(columns):
    """Returns the places of the columns that do not hold numbers."""
    from pandas.api.types import is_numeric_dtype

    return [place for place, column in enumerate(columns) if not is_numeric_dtype(column.dtype)]
