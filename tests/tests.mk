# SPDX-License-Identifier: Apache-2.0
# Unit tests are tests/unit/<room>_<what>.c, each a cmocka program of its own, built with ASan and
# UBSan in $(OBJ)/san and linked with the room and those to its right.

SAN := $(OBJ)/san
SAN_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
UNIT_SOURCES := $(wildcard tests/unit/*.c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(SAN)/unit/%,$(UNIT_SOURCES))

# $(call rooms_from,cache) is "cache seal pack base".
rooms_from = $(if $(filter $1,$(firstword $2)),$2,$(if $2,$(call rooms_from,$1,$(wordlist 2,99,$2))))
test_room = $(firstword $(subst _, ,$1))

ifeq ($(SANITIZED),)
.PHONY: unit
unit:
	$(MAKE) OBJ=$(SAN) SANITIZED=1 CFLAGS='$(SAN_FLAGS)' run-unit

# One room: make unit-seal
unit-%:
	$(MAKE) OBJ=$(SAN) SANITIZED=1 CFLAGS='$(SAN_FLAGS)' run-unit-$*
else
define unit_rule
$(OBJ)/unit/$1: $(OBJ)/tests/unit/$1.o $(foreach r,$(call rooms_from,$(call test_room,$1),$(ROOMS)),$(OBJ)/lib/$(r).a)
	@mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) -o $$@ $$^ $(PKG_LIBS) -lcmocka
run-$1: $(OBJ)/unit/$1
	tests/run-unit $$<
.PHONY: run-$1
endef
UNIT_NAMES := $(patsubst tests/unit/%.c,%,$(UNIT_SOURCES))
$(foreach t,$(UNIT_NAMES),$(eval $(call unit_rule,$(t))))
.PHONY: run-unit
run-unit: $(addprefix $(OBJ)/unit/,$(UNIT_NAMES))
	tests/run-unit $^
run-unit-%:
	$(MAKE) OBJ=$(OBJ) SANITIZED=1 CFLAGS='$(CFLAGS)' $(addprefix $(OBJ)/unit/,$(filter $*_%,$(UNIT_NAMES)))
	tests/run-unit $(addprefix $(OBJ)/unit/,$(filter $*_%,$(UNIT_NAMES)))
endif
