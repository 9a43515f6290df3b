// SPDX-License-Identifier: Apache-2.0
// Progress of this process's own work, as one line on a terminal: "splicing 45 % of 188.0 MB".
// Nothing where standard error is no terminal, or with TERM=dumb.
#ifndef KBUILD_BASE_METER_H
#define KBUILD_BASE_METER_H

void meter_begin(void);
void meter_end(void); // wipes the line

#endif
