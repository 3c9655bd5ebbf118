/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The growing byte buffer. It never leaves a copy of its content behind: memory is wiped before it
 * goes back to the allocator, when growing as well, so realloc() is not used here. C standard
 * headers and explicit_bzero() only.
 */
#include <estc/buf.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUF_CAP_MIN 256

void estc_buf_clear(struct estc_buf *buf) {
    if (!buf)
        return;
    if (buf->data) {
        explicit_bzero(buf->data, buf->cap);
        free(buf->data);
    }
    *buf = (struct estc_buf){0};
}

/* Room for need bytes; doubles, so that many small appends stay cheap. */
static int buf_reserve(struct estc_buf *buf, size_t need) {
    if (need <= buf->cap)
        return 0;
    size_t cap = buf->cap > SIZE_MAX / 2 ? need : buf->cap * 2;
    if (cap < BUF_CAP_MIN)
        cap = BUF_CAP_MIN;
    if (cap < need)
        cap = need;
    unsigned char *data = malloc(cap);
    if (!data)
        return -ENOMEM;
    if (buf->data) {
        memcpy(data, buf->data, buf->len);
        explicit_bzero(buf->data, buf->cap);
        free(buf->data);
    }
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int estc_buf_append(struct estc_buf *buf, const void *data, size_t len) {
    if (len >= SIZE_MAX - buf->len) /* the NUL wants its byte, too */
        return -ENOMEM;
    int rc = buf_reserve(buf, buf->len + len + 1);
    if (rc)
        return rc;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}
