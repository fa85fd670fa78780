"""What one file of a stranger may cost at most. Every bound of the package stands here.

A bound is far above what any reader, set or label needs, and far below what a machine has. Whoever
reads a file from outside takes its bound from here and names it in the error.
"""

# Images. A larger one is no cropped word or line; decoding it could use up the memory.
MAX_PIXELS = 50_000_000
MAX_SIDE = 65_535
# A served image: many are in memory at once, and strangers send them.
MAX_SERVED_PIXELS = 4_000_000

# A canvas: 512 pixels are 16 times the height of the shipped readers.
MAX_CANVAS_HEIGHT = 512
MAX_CANVAS_WIDTH = 8_192
MAX_CANVAS_WIDTHS = 64

# A char dict: Unicode assigns some 155,000 characters.
MAX_CHARACTERS = 200_000

# A reader: the largest of this project takes a few tens of megabytes.
MAX_MODEL_BYTES = 2**29
MAX_MODEL_UNPACKED_BYTES = 2**30

# Label files.
MAX_LABEL_CHARACTERS = 100_000
MAX_MAT_BYTES = 2**26
MAX_MAT_UNPACKED_BYTES = 2**28
# Memory and time of a process that reads a file which could crash it.
MAX_ISOLATED_BYTES = 2**32
MAX_ISOLATED_SECONDS = 60.0
