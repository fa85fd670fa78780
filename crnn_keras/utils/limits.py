"""What one file of a stranger may cost at most. Every bound of the package stands here.

A bound is far above what any reader, set or label needs, and far below what a machine has. Whoever
reads a file from outside takes its bound from here and names it in the error.
"""

# Images. A larger one is no cropped word or line; decoding it could use up the memory.
MAX_PIXELS = 50_000_000
MAX_SIDE = 65_535
# Scans of a jpeg: a progressive one has a dozen, each of which goes over all pixels. One more is
# allowed for so many bytes, which may look like a scan by chance.
MAX_JPEG_SCANS = 64
BYTES_PER_JPEG_SCAN = 2**14
# An encoded image in a file, an LMDB or an archive: none of `MAX_PIXELS` needs more.
MAX_IMAGE_BYTES = 2**28
# One record of a shard: an image, its label and where it came from.
MAX_RECORD_BYTES = MAX_IMAGE_BYTES + 2**22
# A served image: many are in memory at once, and strangers send them.
MAX_SERVED_PIXELS = 4_000_000

# A canvas: 512 pixels are 16 times the height of the shipped readers.
MAX_CANVAS_HEIGHT = 512
MAX_CANVAS_WIDTH = 8_192
MAX_CANVAS_WIDTHS = 64

# A char dict: Unicode assigns some 155,000 characters.
MAX_CHARACTERS = 200_000
MAX_CHAR_DICT_BYTES = 2**25

# A pattern: its expression, the states of its automaton, and the classes that may follow in all of
# them together, which is what each frame costs.
MAX_PATTERN_CHARACTERS = 10_000
MAX_PATTERN_STATES = 1_000
MAX_PATTERN_EDGES = 2**20

# Rendering: a text of one image, and the files that a recipe consists of and names.
MAX_DRAWN_CHARACTERS = 1_000
MAX_RECIPE_BYTES = 2**25
MAX_WORD_LIST_BYTES = 2**30

# A reader: the largest of this project has 9 million weights in 35 megabytes. An archive may hold
# the optimizer's variables too.
MAX_MODEL_BYTES = 2**28
MAX_MODEL_UNPACKED_BYTES = 2**30
MAX_MODEL_WEIGHTS = 2**26
MAX_METADATA_BYTES = 2**22
# The list of names of a `.keras` file has three. Its weights lie in groups, a few for each layer.
MAX_ZIP_DIRECTORY_BYTES = 2**16
MAX_WEIGHT_GROUPS = 10_000
# Operators of an ONNX file: that of the largest architecture has a hundred.
MAX_MODEL_OPERATORS = 1_000
# A language model: the shipped English one has 200,000 n-grams of up to 6 characters.
MAX_NGRAMS = 2**22
MAX_NGRAM_LENGTH = 16
# What a network may compute of one image: numbers in all layers, a gigabyte if all were kept, and
# multiplications. Larger batches are divided.
MAX_MODEL_VALUES = 2**28
MAX_MODEL_OPERATIONS = 2**38

# Label files.
MAX_LABEL_CHARACTERS = 100_000
MAX_LINE_CHARACTERS = 2**24
# Of a path and of each of its parts: what file systems take.
MAX_PATH_BYTES, MAX_NAME_BYTES = 4_096, 255
MAX_MAT_BYTES = 2**26
# IIIT5K's test set, 3 million words, takes 15 seconds on an idle core.
MAX_MAT_UNPACKED_BYTES = 2**29
MAX_MAT_SECONDS = 240.0
# A file of label and image in pairs, or the label of one image in an archive.
MAX_TEXT_BYTES = 4 * MAX_LABEL_CHARACTERS
# What the page for labelling sends at once: one label.
MAX_LABEL_REQUEST_BYTES = 2**20
# Memory and time of a process that reads a file which could crash it. A large file may take longer:
# no disk reads fewer bytes a second.
MAX_ISOLATED_BYTES = 2**32
MAX_ISOLATED_SECONDS = 60.0
MIN_READ_RATE = 2**23

# The state of a run: a line for each epoch, some hundred bytes.
MAX_STATE_JSON_BYTES = 2**26
