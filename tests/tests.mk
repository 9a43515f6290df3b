# SPDX-License-Identifier: Apache-2.0
# Unit tests are tests/unit/<room>_<what>.c, of which those of a room are one program, built with ASan and UBSan in
# $(OBJ)/sanitized and linked with the room and those to its right (tests/unit/test.h). Fuzz targets link with the same
# objects: clang builds them once, with what libFuzzer counts in them. The lock is for a make of both.

SAN := $(OBJ)/sanitized
SAN_FLAGS := -O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_MAKE = +@mkdir -p $(SAN); flock $(SAN)/lock $(MAKE) OBJ=$(SAN) SANITIZED=1 CC=clang CFLAGS='$(SAN_FLAGS)'
UNIT_SOURCES := $(wildcard tests/unit/*.c)

# $(call rooms_from,lib/disk,$(ROOMS)) is "lib/disk lib/pack lib/host lib/toml lib/http lib/base".
rooms_from = $(if $(filter $1,$(firstword $2)),$2,$(if $2,$(call rooms_from,$1,$(wordlist 2,99,$2))))
# The word before the first underscore is a room's name without its storey.
unit_room = $(filter %/$(firstword $(subst _, ,$(basename $(notdir $1)))),$(ROOMS))
$(foreach f,$(UNIT_SOURCES),$(if $(call unit_room,$f),,$(error $f: no room is called so)))
UNIT_ROOMS := $(sort $(foreach f,$(UNIT_SOURCES),$(call unit_room,$f)))

ifeq ($(SANITIZED),)
.PHONY: unit
unit:
	$(SAN_MAKE) run-unit

# One room: make unit-se
unit-%:
	$(SAN_MAKE) run-unit-$*
else
define unit_rule
$(OBJ)/unit/$(notdir $1): $(patsubst %.c,$(OBJ)/%.o,$(wildcard tests/unit/$(notdir $1)_*.c)) $(OBJ)/tests/support/unit_main.o \
    $(foreach r,$(call rooms_from,$1,$(ROOMS)),$(OBJ)/$(r).a)
	@mkdir -p $$(@D)
	$(call say,LD,$$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $$@ $$^ $(PKG_LIBS) $(LOADED_LIBS) -lcmocka
run-unit-$(notdir $1): $(OBJ)/unit/$(notdir $1)
	tests/run-unit $$<
.PHONY: run-unit-$(notdir $1)
endef
$(foreach r,$(UNIT_ROOMS),$(eval $(call unit_rule,$r)))
.PHONY: run-unit
run-unit: $(addprefix $(OBJ)/unit/,$(notdir $(UNIT_ROOMS)))
	tests/run-unit $^
endif

# ---- certificates for tests of the real binary, and for comparing with other programs ----
$(OBJ)/make_world: $(OBJ)/tests/support/make_world.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(PKG_LIBS) $(LOADED_LIBS)

# ---- a client of registries, for tests/e2e/registry.bats and tests/bench/registry.sh ----
$(OBJ)/registry_client: $(OBJ)/tests/support/registry_client.o $(foreach r,$(call rooms_from,lib/oci,$(ROOMS)),$(OBJ)/$(r).a)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(PKG_LIBS)

# ---- end to end: the real binary ----
REAL := $(wildcard tests/e2e/real*.bats) tests/e2e/readers.bats
.PHONY: e2e
e2e: export MAKE_WORLD = $(abspath $(OBJ)/make_world)
e2e: export REGISTRY_CLIENT = $(abspath $(OBJ)/registry_client)
# Those first that take longest, as measured, then the largest, so that none is left to run alone at the end.
LONG := $(addprefix tests/e2e/,$(addsuffix .bats,registry_faults service remote registry_quirks disk se image_source lists crash machine engine ovmf))
e2e: kbuild $(OBJ)/make_world $(OBJ)/registry_client
	tests/run-e2e $(LONG) $(shell ls -S $(filter-out $(REAL) $(LONG),$(wildcard tests/e2e/*.bats)))

# ---- fuzzing: each tests/fuzz/fuzz_<what>.c links with everything ----
FUZZ_NAMES := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
.PHONY: fuzz fuzz-programs
fuzz:
	$(SAN_MAKE) fuzz-programs
	tests/run-fuzz $(addprefix $(SAN)/,$(FUZZ_NAMES))
fuzz-programs: $(addprefix $(OBJ)/,$(FUZZ_NAMES))
# Some call functions of libraries that the program does not need.
$(OBJ)/fuzz_%: $(OBJ)/tests/fuzz/fuzz_%.o $(ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS) $(LOADED_LIBS)

# ---- parity with genprotimg, if there is one and pvimg (GENPROTIMG=, PVIMG=, or on PATH) ----
.PHONY: check-parity
check-parity: $(OBJ)/kbuild
	@GENPROTIMG=$(call quote,$(GENPROTIMG)) PVIMG=$(call quote,$(PVIMG)) tests/parity/run $(OBJ)/kbuild $(OBJ)/parity

# ---- lint ----
.PHONY: lint compile_commands.json
# The flags are the same for every file, so the data base is written from the list of files.
compile_commands.json: $(LAZY)
	@mkdir -p obj
	@tools/compile-commands $(filter-out lib/loader/%,$(wildcard lib/*/*.c engine/*/*.c verbs/*/*.c)) $(wildcard cmd/*/*.c tests/unit/*.c) -- $(ALL_CFLAGS) -DLIBARCHIVE_SONAME='"x"' -DLIBCRYPTO_SONAME='"x"' -DLIBCURL_SONAME='"x"' -DLIBGIT2_SONAME='"x"' > $@
	@cp $@ obj/compile_commands.json
lint: compile_commands.json kbuild
	ROOMS='$(ROOMS)' OBJ='$(OBJ)' tests/run-lint

# ---- everything ----
.PHONY: check check-e2e
check: deps
	@MAKE='$(MAKE)' tests/run-check

# The whole demo on real sources: slow, needs the distribution's mirror.
check-e2e: deps kbuild
	tools/install-dependencies readers
	E2E_JOBS=1 E2E_TIMEOUT=5400 tests/run-e2e $(REAL)

# Two builds of everything, in two worlds: slower still.
.PHONY: check-reproducible
check-reproducible: deps kbuild
	tests/run-reproducible
