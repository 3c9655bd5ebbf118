/* SPDX-License-Identifier: BSD-2-Clause */
/* Patterns for names, tied to the certificate that authenticates. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#include <estc/error.h>

/*
 * True if text matches pattern as a whole, case ignored. "*" stands for one or more characters
 * other than ". / @ : *". "${CN}" (and O, OU, C, ST, L, serialNumber, DC, UID) stands for that
 * attribute of holder's subject, letter for letter; without such an attribute, or with more than
 * one, nothing matches, and nothing does without a holder (NULL). Text with a NUL or another
 * control character in it never matches.
 */
bool pattern_matches(const char *pattern, const char *text, size_t len, const X509 *holder);

/* True if the address (4 or 16 bytes) is the pattern's, or in its prefix ("10.0.0.0/8"). */
bool pattern_matches_ip(const char *pattern, const unsigned char *address, size_t len);

/* Whether a pattern can ever match: 0, or ESTC_E_CONFIG with what is wrong with it. */
int pattern_check(const char *pattern, struct estc_error *err);
int pattern_check_ip(const char *pattern, struct estc_error *err);
