/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A growing byte buffer that is wiped when it is freed: DER, PEM and message bodies travel in it.
 * Zero-initialise it ({0}); data is always followed by a NUL that len does not count.
 */
#pragma once

#include <stddef.h>

struct estc_buf {
    unsigned char *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
};

/* Wipes and frees the content; the buffer can be used again. Takes NULL. */
void estc_buf_clear(struct estc_buf *buf);

/* 0 or -ENOMEM; on failure the content is unchanged. */
int estc_buf_append(struct estc_buf *buf, const void *data, size_t len);
