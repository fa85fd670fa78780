"""Labels by hand: images and a reader's texts on a page, decisions that are saved at once.

| file | subject |
|---|---|
| `items` | the images of a folder or of a label file, named as the labels will name them |
| `table` | a file of two columns that an editor may change at the same time |
| `store` | `LabelStore`: labels, what was skipped or unreadable, and pseudo-labels, on disk |
| `session` | `LabelSession`: readings in the background, order by doubt, decisions, undo |
| `shown` | images as a browser shows them |
| `server` | `LabelServer`: the page and what it asks for, on the loopback only |
| `page.html` | the page: complete without a network |
"""

from crnn_keras.labelling.items import Item, list_images, list_labels
from crnn_keras.labelling.server import LabelServer
from crnn_keras.labelling.session import LabelSession
from crnn_keras.labelling.store import LabelStore

__all__ = ["Item", "LabelServer", "LabelSession", "LabelStore", "list_images", "list_labels"]
