/* SPDX-License-Identifier: BSD-2-Clause */
/* multipart-core: never more bytes than came, and two parts or nothing. */
#include "fuzz.h"

#include <estc/error.h>

#include "est/multipart.h"

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    _cleanup(multipart_clear) struct multipart m = {0};
    if (multipart_decode(data, len, &m, NULL) == 0)
        FUZZ_CHECK(m.part[0].body.len + m.part[1].body.len < len);
    return 0;
}
