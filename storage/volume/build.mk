# What pods' volumes are made of on a node.
LIBS += storage/volume
SRC_storage/volume := $(addprefix storage/volume/,files.c mounts.c tree.c)
DEPS_storage/volume := base
UNIT_storage/volume := tests/unit/storage/volume/files_test.c tests/unit/storage/volume/mounts_test.c
