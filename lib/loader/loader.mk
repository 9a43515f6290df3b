# SPDX-License-Identifier: Apache-2.0
# The s390x loader stages (docs/loaders.md). They are compiled by the s390x compiler with flags of
# their own, whatever CC and CFLAGS are for the program, and end up in it as bytes.

STAGE := $(OBJ)/lib/loader
STAGE_CC = $(CROSS_S390X)gcc
STAGE_LD = $(CROSS_S390X)ld
STAGE_OBJCOPY = $(CROSS_S390X)objcopy

# The oldest z/Architecture machine, so that the bytes do not depend on the compiler's default.
STAGE_FLAGS := -m64 -march=z900 -Ilib
STAGE_CFLAGS := -std=gnu11 $(STAGE_FLAGS) -Os -g0 -ffreestanding -fno-builtin -fno-pie -fno-common \
                -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables \
                -fno-delete-null-pointer-checks -fno-tree-loop-distribute-patterns -fno-ident \
                -msoft-float -mpacked-stack -mstack-size=4096 -mstack-guard=128 \
                -Wall -Wextra -Wshadow -Wstrict-prototypes $(WERROR)
STAGE_LDFLAGS := -nostdlib -static --build-id=none -z noexecstack --fatal-warnings

define need_cross_compiler
@command -v $(STAGE_CC) >/dev/null && command -v $(STAGE_LD) >/dev/null || { \
  echo "$(STAGE_CC) is missing: it compiles the boot loaders of Secure Execution images." >&2; \
  echo "Install it: apt-get install $(if $(CROSS_S390X),gcc-s390x-linux-gnu,gcc binutils)" \
       "(or set CROSS_S390X to another s390x compiler's prefix)" >&2; \
  exit 1; }
endef

$(STAGE)/%.s390x.o: lib/loader/%.c lib/loader/loader.mk
	$(need_cross_compiler)
	@mkdir -p $(@D)
	$(call say,S390,$<)
	$(Q)$(STAGE_CC) $(STAGE_CFLAGS) -MMD -MP -c -o $@ $<

$(STAGE)/%.s390x.o: lib/loader/%.S lib/loader/loader.mk
	$(need_cross_compiler)
	@mkdir -p $(@D)
	$(call say,S390,$<)
	$(Q)$(STAGE_CC) $(STAGE_FLAGS) -Wa,-I,$(STAGE) -MMD -MP -c -o $@ $<

STAGE_COMMON := $(STAGE)/machine.s390x.o $(STAGE)/console.s390x.o
$(STAGE)/stage3a.elf: $(STAGE)/stub.s390x.o $(STAGE)/stage3a.s390x.o $(STAGE_COMMON)
$(STAGE)/stage3b.elf: $(STAGE)/stage3b.s390x.o $(STAGE_COMMON)
$(STAGE)/%.elf: lib/loader/%.lds
	$(call say,LD,$@)
	$(Q)$(STAGE_LD) $(STAGE_LDFLAGS) -T $< -o $@ $(filter %.o,$^)

# relocator || stage3b
$(STAGE)/relocator.s390x.o: $(STAGE)/stage3b.bin
$(STAGE)/stage3b-relocated.elf: $(STAGE)/relocator.s390x.o
	$(call say,LD,$@)
	$(Q)$(STAGE_LD) $(STAGE_LDFLAGS) -Ttext=0 -e start -o $@ $<

$(STAGE)/%.bin: $(STAGE)/%.elf
	$(call say,BIN,$@)
	$(Q)$(STAGE_OBJCOPY) -O binary $< $@

$(STAGE)/stages.o: lib/loader/stages.S $(STAGE)/stage3a.bin $(STAGE)/stage3b-relocated.bin
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -Wa,-I,$(STAGE) -c -o $@ $<

# For tests/e2e/loaders.bats: a kernel that reports what it was given (and an old one, without the size
# of its command line area in it), a tool that assembles images by hand, and one that acts as the
# hypervisor.
LOADER_TEST := $(OBJ)/tests/e2e/loaders
.PHONY: loader-tests
loader-tests: $(addprefix $(LOADER_TEST)/,kernel.bin old-kernel.bin image hypervisor) \
              $(addprefix $(STAGE)/,stage3a.bin stage3b-relocated.bin)

$(LOADER_TEST)/kernel.s390x.o: tests/e2e/loaders/kernel.c lib/loader/loader.mk
	$(need_cross_compiler)
	@mkdir -p $(@D)
	$(call say,S390,$<)
	$(Q)$(STAGE_CC) $(STAGE_CFLAGS) -MMD -MP -c -o $@ $<

$(LOADER_TEST)/head.s390x.o: MAX_COMMAND_LINE = 4096
$(LOADER_TEST)/old-head.s390x.o: MAX_COMMAND_LINE = 0
$(LOADER_TEST)/head.s390x.o $(LOADER_TEST)/old-head.s390x.o: tests/e2e/loaders/head.S \
                                                             lib/loader/loader.mk
	$(need_cross_compiler)
	@mkdir -p $(@D)
	$(call say,S390,$<)
	$(Q)$(STAGE_CC) $(STAGE_FLAGS) -DMAX_COMMAND_LINE=$(MAX_COMMAND_LINE) -MMD -MP -c -o $@ $<

$(LOADER_TEST)/kernel.elf: $(LOADER_TEST)/head.s390x.o
$(LOADER_TEST)/old-kernel.elf: $(LOADER_TEST)/old-head.s390x.o
$(LOADER_TEST)/kernel.elf $(LOADER_TEST)/old-kernel.elf: tests/e2e/loaders/kernel.lds \
        $(LOADER_TEST)/kernel.s390x.o $(STAGE_COMMON)
	$(call say,LD,$@)
	$(Q)$(STAGE_LD) $(STAGE_LDFLAGS) -T $< -o $@ $(filter %.o,$^)

$(LOADER_TEST)/%.bin: $(LOADER_TEST)/%.elf
	$(call say,BIN,$@)
	$(Q)$(STAGE_OBJCOPY) -O binary $< $@

$(LOADER_TEST)/image $(LOADER_TEST)/hypervisor: $(LOADER_TEST)/%: tests/e2e/loaders/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $<
