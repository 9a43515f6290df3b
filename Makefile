# SPDX-License-Identifier: Apache-2.0
# `make` builds ./kbuild; `make <name>-tarball` works as upstream's does; README.md says the rest.

# All processors, unless the user says otherwise.
ifeq ($(MAKELEVEL)$(findstring -j,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

CC = gcc
CROSS_S390X ?= $(if $(filter s390x,$(shell uname -m)),,s390x-linux-gnu-)
OBJ ?= obj
# CI makes warnings errors; a compiler that is newer than this program must not stop its users.
WERROR ?=
CFLAGS ?= -O2 -g
VERSION := $(shell cat VERSION)

PACKAGES := libarchive liblzma libzstd zlib libgit2 yaml-0.1 libcurl libcrypto nettle jansson libseccomp
# Asked for only when something is compiled, so that `make deps` works on a bare machine.
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
# These are loaded when they are needed (lib/base/library.h), under the names that the linker would write down.
LOADED := libarchive libcrypto libcurl libgit2
PKG_LIBS = $(shell pkg-config --libs $(filter-out $(LOADED),$(PACKAGES))) -lm
LOADED_LIBS = $(shell pkg-config --libs $(LOADED))
soname = $(shell readelf -d $$($(CC) -print-file-name=$1.so) | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
            -Wvla -Wno-unused-parameter $(WERROR)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DKBUILD_VERSION='"$(VERSION)"' \
             -Ilib -Iengine -Iverbs -I$(OBJ) $(WARNINGS) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS)

# A value as one word of a shell. Names of targets cannot have blanks, and no recipe a line break in a word.
quote = '$(subst ','\'',$1)'
define line_break


endef
refused := ; & | < > * ? ` ' " \ ( ) { } [ ] %
$(foreach v,DESTDIR PREFIX ZSH_COMPLETIONS DOC OBJ,$(if $(findstring $(line_break),$($v)),$(error $v has a line break)))
ifneq ($(words $(OBJ))$(strip $(foreach c,$(refused),$(findstring $c,$(OBJ)))),1)
$(error OBJ is "$(OBJ)": it must be a directory without blanks and characters that the shell reads, since make cannot \
have them in names of files)
endif

# One line a file; V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $1 $2)

# The rooms, by storey, in link order: each may use those below it only. docs/CONTRIBUTING.md draws the house.
ROOMS := $(addprefix verbs/,why spread boot handover prove payload install doctor config report new) \
         $(addprefix engine/,release run share provenance graph sandbox source recipe) \
         $(addprefix lib/,measure se loader hkd crypto oci registry store disk pack host toml http base)
room_objects = $(patsubst %.c,$(OBJ)/%.o,$(wildcard $1/*.c))
# lib/loader is compiled for s390x, and comes into the program as bytes.
room_objects_lib/loader = $(OBJ)/lib/loader/stages.o
ARCHIVES := $(foreach r,$(ROOMS),$(OBJ)/$(r).a)

.PHONY: all
all: kbuild

kbuild: $(OBJ)/kbuild
	@cp -f $< $@.new && mv -f $@.new $@

$(OBJ)/kbuild: $(patsubst %.c,$(OBJ)/%.o,$(wildcard cmd/kbuild/*.c)) $(ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

LAZY := $(LOADED:%=$(OBJ)/lazy/%.h)
vpath %.functions lib/base lib/http lib/pack
$(LAZY): $(OBJ)/lazy/%.h: %.functions tools/lazy-library
	@mkdir -p $(@D)
	$(Q)tools/lazy-library $* $< >$@.new && mv $@.new $@
$(OBJ)/lib/base/libcrypto.o: ALL_CFLAGS += -DLIBCRYPTO_SONAME='"$(call soname,libcrypto)"'
$(OBJ)/lib/pack/formats.o: ALL_CFLAGS += -DLIBARCHIVE_SONAME='"$(call soname,libarchive)"'
$(OBJ)/lib/http/libraries.o: ALL_CFLAGS += -DLIBCURL_SONAME='"$(call soname,libcurl)"' -DLIBGIT2_SONAME='"$(call soname,libgit2)"'

$(OBJ)/%.o: %.c | $(LAZY)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define archive_rule
$(OBJ)/$1.a: $(or $(room_objects_$1),$(call room_objects,$1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call archive_rule,$(r))))

include lib/loader/loader.mk
include tests/tests.mk

.PHONY: deps
deps:
	tools/install-dependencies

# Upstream's names. The variables of the environment are passed on by make itself.
%-tarball: kbuild
	@./kbuild $(call quote,$*)
# What its `all` is, is all-tarball here.
.PHONY: all-parallel merge-builds kata-tarball
all-parallel: all-tarball
merge-builds: kbuild
	@./kbuild merge build
kata-tarball: all-tarball
	@./kbuild merge build --target=all

.PHONY: demo first-proof clean install uninstall deb image
# Only what the demo needs; `make check` brings the tools of the tests. The first proof is the demo's beginning.
demo first-proof:
	tools/install-dependencies build run demo
	$(MAKE) kbuild
	tools/demo$(if $(filter first-proof,$@), --first)

# What is made of the table of verbs and options; the results are committed.
COMPLETIONS := bash:kbuild.bash zsh:_kbuild fish:kbuild.fish
.PHONY: docs
docs: kbuild
	./kbuild help --manual >docs/man/kbuild.1.new && mv docs/man/kbuild.1.new docs/man/kbuild.1
	@for c in $(COMPLETIONS); do file=tools/completion/$${c#*:}; \
	  ./kbuild help --completion=$${c%:*} >$$file.new && mv $$file.new $$file || exit 1; done

# docs/install.md. Cache and lock are each user's own, so all of it may belong to root. Recipes of an
# earlier version are removed; whatever the umask, others can read the files and only the owner writes.
PREFIX ?= /usr/local
to = $(call quote,$(DESTDIR)$(PREFIX)/$1)
to_zsh = $(call quote,$(DESTDIR)$(ZSH_COMPLETIONS)/_kbuild)
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
DOC ?= share/doc/kbuild
install: kbuild
	install -D -m 0755 kbuild $(call to,bin/kbuild)
	install -D -m 0644 docs/man/kbuild.1 $(call to,share/man/man1/kbuild.1)
	install -D -m 0644 tools/completion/kbuild.bash $(call to,share/bash-completion/completions/kbuild)
	install -D -m 0644 tools/completion/_kbuild $(to_zsh)
	install -D -m 0644 tools/completion/kbuild.fish $(call to,share/fish/vendor_completions.d/kbuild.fish)
	install -D -m 0644 versions.yaml $(call to,share/kbuild/versions.yaml)
	rm -rf $(call to,share/kbuild/recipes)
	cp -R --no-preserve=ownership recipes $(call to,share/kbuild/)
	chmod -R u=rwX,go=rX $(call to,share/kbuild/recipes)
	rm -rf $(call to,$(DOC)/docs)
	install -d $(call to,$(DOC)/docs)
	install -m 0644 README.md $(call to,$(DOC)/)
	install -m 0644 docs/*.md docs/*.svg $(call to,$(DOC)/docs/)

# What install wrote, and no more: caches, locks and results of users stay.
uninstall:
	rm -rf $(call to,share/kbuild/recipes) $(call to,$(DOC)/docs)
	rm -f $(call to,$(DOC)/README.md)
	@folder=$(call to,$(DOC)); [ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder"
	rm -f $(call to,bin/kbuild) $(call to,share/man/man1/kbuild.1) $(call to,share/kbuild/versions.yaml) \
	  $(call to,share/bash-completion/completions/kbuild) $(to_zsh) \
	  $(call to,share/fish/vendor_completions.d/kbuild.fish)
	@folder=$(call to,share/kbuild); [ ! -d "$$folder" ] || rmdir "$$folder" || \
	  printf '%s\n' "$$folder holds files that make install did not write; they stay"

# A Debian package of this checkout, in $(OBJ)/deb.
deb:
	tools/install-dependencies build deb
	tools/make-deb $(OBJ)/deb

# An OCI image with kbuild and what it needs, as an archive.
image: kbuild
	+MAKE='$(MAKE)' tools/make-image $(OBJ)/image

clean:
	rm -rf obj kbuild kbuild.new

-include $(shell find $(OBJ) \( -path $(OBJ)/deb -o -path $(OBJ)/image \) -prune -o -type f -name '*.d' -print 2>/dev/null)
