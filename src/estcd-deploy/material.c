/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a credential to the bytes of all files that are wanted of it, and these as a message:
 * frames, each a length and so many bytes. The first holds the facts.
 */
#include "material.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "ctl/json.h"

#define SERIAL_MAX 64 /* hexadecimal digits; a certificate has 40 at most */

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

void material_clear(struct material *material) {
    free(material->serial);
    for (size_t i = 0; i < MATERIAL_PARTS; i++)
        estc_buf_clear(&material->parts[i]);
    for (size_t i = 0; i < material->n_files; i++)
        estc_buf_clear(&material->files[i]);
    free(material->files);
    *material = (struct material){0};
}

static int alloc_files(struct material *material, size_t n) {
    material->files = calloc(n + 1, sizeof(*material->files));
    material->n_files = material->files ? n : 0;
    return material->files ? 0 : -ENOMEM;
}

/* --- making --- */

static int take_facts(const struct credential *credential, struct material *out,
                      struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = estc_cert_facts_get(credential->cert, &facts, err);
    if (rc)
        return rc;
    out->serial = TAKE(facts.serial);
    out->not_after = facts.not_after;
    return 0;
}

static int render_all(const struct credential *credential, const struct config_identity *identity,
                      char *const *passwords, struct material *out, struct estc_error *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < MATERIAL_PARTS; i++)
        rc = render(credential, (enum config_content)i, CONFIG_FORMAT_PEM, NULL, NULL,
                    &out->parts[i], err);
    for (size_t i = 0; !rc && i < out->n_files; i++) {
        const struct config_install *install = config_install_at(&identity->deploy, i);
        rc = render(credential, (enum config_content)install->content,
                    (enum config_format)install->format, identity->id, passwords[i], &out->files[i],
                    err);
    }
    return rc;
}

int material_make(const struct state *state, const struct config_identity *identity,
                  char *const *passwords, struct material *out, struct estc_error *err) {
    _cleanup(material_clear) struct material material = {0};
    _cleanup(credential_clear) struct credential credential = {0};
    if (alloc_files(&material, identity->deploy.install.n))
        return out_of_memory(err);
    int rc = state_read(state, identity->id, clock_real(), &credential, &material.generation, err);
    if (!rc)
        rc = take_facts(&credential, &material, err);
    if (!rc)
        rc = render_all(&credential, identity, passwords, &material, err);
    if (rc)
        return rc;
    *out = material;
    material = (struct material){0};
    return 0;
}

/* --- as a message --- */

static int write_frame(struct estc_buf *out, const void *data, size_t len) {
    uint32_t n = (uint32_t)len;
    int rc = estc_buf_append(out, &n, sizeof(n));
    return rc || len == 0 ? rc : estc_buf_append(out, data, len);
}

int material_write(const struct material *material, struct estc_buf *out, struct estc_error *err) {
    _cleanup(json_freep) json_t *facts =
        json_pack("{s:I, s:s, s:I}", "generation", (json_int_t)material->generation, "serial",
                  material->serial, "not_after", (json_int_t)material->not_after);
    _cleanup(freep) char *text = facts ? json_dumps(facts, JSON_COMPACT) : NULL;
    if (!text || write_frame(out, text, strlen(text)))
        return out_of_memory(err);
    for (size_t i = 0; i < MATERIAL_PARTS; i++)
        if (write_frame(out, material->parts[i].data, material->parts[i].len))
            return out_of_memory(err);
    for (size_t i = 0; i < material->n_files; i++)
        if (write_frame(out, material->files[i].data, material->files[i].len))
            return out_of_memory(err);
    return 0;
}

struct frames {
    const unsigned char *at;
    size_t left;
};

static int read_frame(struct frames *frames, struct estc_buf *out) {
    uint32_t n;
    if (frames->left < sizeof(n))
        return ESTC_E_MALFORMED;
    memcpy(&n, frames->at, sizeof(n));
    frames->at += sizeof(n);
    frames->left -= sizeof(n);
    if (n > frames->left)
        return ESTC_E_MALFORMED;
    int rc = n ? estc_buf_append(out, frames->at, n) : 0;
    frames->at += n;
    frames->left -= n;
    return rc;
}

static int read_facts(const struct estc_buf *frame, struct material *out) {
    _cleanup(json_freep) json_t *json = ctl_json_object((const char *)frame->data, frame->len);
    const json_t *generation = json_object_get(json, "generation");
    const json_t *not_after = json_object_get(json, "not_after");
    const char *serial = json_string_value(json_object_get(json, "serial"));
    if (!json_is_integer(generation) || json_integer_value(generation) < 1 ||
        !json_is_integer(not_after) || !serial || strlen(serial) > SERIAL_MAX ||
        serial[strspn(serial, "0123456789ABCDEF-")])
        return ESTC_E_MALFORMED;
    out->generation = json_integer_value(generation);
    out->not_after = json_integer_value(not_after);
    out->serial = strdup(serial);
    return out->serial ? 0 : -ENOMEM;
}

int material_read(const void *data, size_t len, size_t n_files, struct material *out,
                  struct estc_error *err) {
    _cleanup(material_clear) struct material material = {0};
    _cleanup(estc_buf_clear) struct estc_buf facts = {0};
    struct frames frames = {data, len};
    int rc = alloc_files(&material, n_files);
    if (!rc)
        rc = read_frame(&frames, &facts);
    if (!rc)
        rc = read_facts(&facts, &material);
    for (size_t i = 0; !rc && i < MATERIAL_PARTS; i++)
        rc = read_frame(&frames, &material.parts[i]);
    for (size_t i = 0; !rc && i < n_files; i++)
        rc = read_frame(&frames, &material.files[i]);
    if (rc < 0)
        return out_of_memory(err);
    if (rc || frames.left > 0)
        return estc_error_set(err, ESTC_E_MALFORMED,
                              "the process that reads the state folder wrote nonsense");
    *out = material;
    material = (struct material){0};
    return 0;
}
