/* SPDX-License-Identifier: BSD-2-Clause */
/* ClientHellos: all that is found lies within the datagram, in order. */
#include "fuzz.h"

#include "coap/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct hello hello;
    if (hello_read(data, len, &hello) != HELLO_WHOLE)
        return 0;
    const uint8_t *end = data + len;
    FUZZ_CHECK(hello.before > data && hello.before + hello.before_len + 1 == hello.cookie);
    FUZZ_CHECK(hello.cookie + hello.cookie_len == hello.after);
    FUZZ_CHECK(hello.after + hello.after_len <= end);
    FUZZ_CHECK(hello.random + HELLO_RANDOM_LEN < hello.before + hello.before_len);
    unsigned char cookie[HELLO_COOKIE_LEN] = {0}, out[HELLO_VERIFY_LEN];
    hello_verify(&hello, cookie, out);
    FUZZ_CHECK(hello_read(out, sizeof(out), &hello) == HELLO_NONE);
    return 0;
}
