// SPDX-License-Identifier: Apache-2.0
// Copyright files of packages become SPDX expressions, and nothing is guessed.
#include "test.h"

#include "sandbox_help.h"

#include "sandbox/internal.h"

#define FORMAT "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"

TEST(machine_readable_files_become_expressions)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {FORMAT "Files: *\nLicense: GPL-3+\n", "GPL-3.0-or-later"},
        {FORMAT "Files: *\nLicense: gpl-2\nFiles: a\nLicense: Expat\n text\n",
         "GPL-2.0-only AND MIT"},
        {FORMAT "Files: *\nLicense: GPL-2+ or Artistic\n",
         "(GPL-2.0-or-later OR Artistic-1.0-Perl)"},
        {FORMAT "Files: *\nLicense: BSL-1.0 and Zlib \r\n", "BSL-1.0 AND Zlib"},
        {FORMAT "Files: *\nLicense: GPL-2+ with OpenSSL exception\n",
         "LicenseRef-GPL-2--with-OpenSSL-exception"},
        {FORMAT "Files: *\nLicense: A, and B or C\n", "LicenseRef-A--and-B-or-C"},
        {FORMAT "Files: *\nLicense: public-domain\nLicense: public-domain\n",
         "LicenseRef-public-domain"},
        // The paragraph of a licence gives its text only.
        {FORMAT "Files: *\nLicense: ISC\n\nLicense: GPL-2\n text\n", "ISC"},
        {FORMAT "License: GPL-2\n", NULL},
        {FORMAT "Files: *\nLicense:\n", NULL},
        {"This package is under the GPL.\nLicense: GPL-2\n", NULL},
        {"Format: something else\n\nFiles: *\nLicense: GPL-2\n", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *found = licence_of_copyright(cases[i].text);
        if (cases[i].expected)
            assert_string_equal(found, cases[i].expected);
        else
            assert_null(found);
    }
}
