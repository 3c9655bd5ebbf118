/* SPDX-License-Identifier: BSD-2-Clause */
/* What the types of keys are made of. */
#pragma once

#include <estc/key.h>

/* NID of its curve; NID_undef for RSA. */
int key_type_curve(enum estc_key_type type);
/* Of the modulus, or of the curve's field. */
unsigned key_type_bits(enum estc_key_type type);
