/* SPDX-License-Identifier: BSD-2-Clause */
/* What a response means to the client of an operation. */
#pragma once

#include <stdint.h>

#include <estc/op.h>

/*
 * 0 for the operation's success with the content format that was asked for, or none; else a code of
 * estc_client_enroll() and its text. retry_after, where waiting is possible, is set with
 * ESTC_E_PENDING; NULL where it is not.
 */
int verdict(const struct estc_op_info *op, const struct estc_response *response,
            int64_t *retry_after, struct estc_error *err);
