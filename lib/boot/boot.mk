# SPDX-License-Identifier: Apache-2.0
# Placeholder for the s390x loader stages; replaced when lib/boot lands.
$(OBJ)/lib/boot/stages.o: lib/boot/stages.S
	@mkdir -p $(@D)
	$(CC) -c -Ilib -o $@ $<
