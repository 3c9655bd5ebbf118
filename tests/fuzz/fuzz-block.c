/* SPDX-License-Identifier: BSD-2-Clause */
/* Block-wise transfer, driven by a script: each step is an option of up to three bytes and a
 * payload. */
#include "fuzz.h"

#include <string.h>

#include <estc/error.h>

#include "coap/block.h"

#define BODY_MAX 4096

struct script {
    const uint8_t *at;
    size_t left;
};

static const uint8_t *take(struct script *s, size_t n) {
    if (s->left < n)
        return NULL;
    const uint8_t *p = s->at;
    s->at += n;
    s->left -= n;
    return p;
}

/* The client's two ends and the server's, fed with the same blocks. */
static void step(const struct block *block, const uint8_t *payload, size_t len,
                 struct block_sender *up, struct block_collector *down,
                 struct block_assembly *assembly) {
    struct block out;
    size_t offset, page;
    if (block_sender_continue(up, block) == 0)
        FUZZ_CHECK(up->offset < up->len);
    if (block_collector_add(down, block, payload, len, NULL, 0))
        block_collector_clear(down);
    FUZZ_CHECK(down->body.len <= BODY_MAX);
    (void)block_assembly_add(assembly, block, payload, len);
    FUZZ_CHECK(assembly->body.len <= BODY_MAX);
    if (block_page(BODY_MAX, block, &out, &offset, &page))
        FUZZ_CHECK(offset < BODY_MAX && offset + page <= BODY_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static const uint8_t body[BODY_MAX];
    struct script s = {data, len};
    struct block_sender up;
    struct block_collector down = {.max = BODY_MAX, .szx = BLOCK_SZX_MAX};
    struct block_assembly assembly = {.max = BODY_MAX};
    FUZZ_CHECK(block_sender_init(&up, body, sizeof(body), 2) == 0);
    const uint8_t *head;
    while ((head = take(&s, 2)) != NULL) {
        struct block block;
        size_t option = head[0] % 5, payload = head[1] * (head[0] & 0x80 ? 8u : 1u);
        const uint8_t *value = take(&s, option);
        if (!value || block_decode(value, option, &block))
            continue;
        if (payload > s.left)
            payload = s.left;
        FUZZ_CHECK(block.szx <= BLOCK_SZX_MAX && block.num <= BLOCK_NUM_MAX);
        step(&block, take(&s, payload), payload, &up, &down, &assembly);
    }
    estc_buf_clear(&down.body);
    estc_buf_clear(&assembly.body);
    return 0;
}
