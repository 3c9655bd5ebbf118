/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON in, the text of a configuration file out: strings only, quoted. What they mean is judged by
 * whoever reads the text. Pure. */
#include "request.h"

#include <stdlib.h>
#include <string.h>

#include <estc/buf.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "common/credential.h"

const struct ctl_field request_fields[] = {
    {"id", CTL_STRING},
    {"url", CTL_STRING, .optional = true},
    {"label", CTL_STRING, .optional = true},
    {"subject", CTL_STRING, .optional = true},
    {"sans", CTL_STRINGS, .optional = true},
    {"key_type", CTL_STRING, .optional = true},
    {"birth_certificate", CTL_STRING, .optional = true},
    {"birth_key", CTL_STRING, .optional = true},
    {"trust", CTL_STRING, .optional = true},
    {"fingerprint", CTL_STRING, .optional = true},
    {NULL},
};

static const struct {
    const char *member, *key, *group; /* group: what the key stands in, or NULL */
    bool is_path;
} keys[] = {
    {"url", "url", NULL, false},
    {"label", "label", NULL, false},
    {"subject", "subject", NULL, false},
    {"sans", "subject_alt_names", NULL, false},
    {"key_type", "key_type", NULL, false},
    {"trust", "trust", NULL, true},
    {"fingerprint", "fingerprint", NULL, false},
    {"birth_certificate", "certificate", "birth", true},
    {"birth_key", "key", "birth", true},
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

static int put(struct estc_buf *out, const char *text) {
    return estc_buf_append(out, text, strlen(text));
}

static int put_quoted(struct estc_buf *out, const char *text) {
    int rc = put(out, "\"");
    for (; !rc && *text; text++) {
        if (*text == '"' || *text == '\\')
            rc = put(out, "\\");
        if (!rc)
            rc = estc_buf_append(out, text, 1);
    }
    return rc ? rc : put(out, "\"");
}

/* A string, or a list of them. */
static int put_value(struct estc_buf *out, const json_t *value) {
    if (!json_is_array(value))
        return put_quoted(out, json_string_value(value));
    int rc = put(out, "[");
    for (size_t i = 0; !rc && i < json_array_size(value); i++) {
        rc = i > 0 ? put(out, ", ") : 0;
        if (!rc)
            rc = put_quoted(out, json_string_value(json_array_get(value, i)));
    }
    return rc ? rc : put(out, "]");
}

static void judge_string(size_t key, const char *text, struct conf_errors *errors) {
    const char *in = keys[key].group ? keys[key].group : "";
    const char *dot = *in ? "." : "";
    bool control = false;
    for (const char *p = text; *p; p++)
        control = control || (unsigned char)*p < ' ' || *p == 0x7f;
    if (control)
        conf_error(errors, NULL, "%s%s%s: '%.80s' has a control character: leave it out", in, dot,
                   keys[key].key, text);
    if (keys[key].is_path && *text && *text != '/' && !credential_named(text))
        conf_error(errors, NULL,
                   "%s%s%s: '%.80s' is not an absolute path: the daemon does not stand where you "
                   "do",
                   in, dot, keys[key].key, text);
}

static void judge_value(size_t key, const json_t *value, struct conf_errors *errors) {
    if (json_is_string(value))
        judge_string(key, json_string_value(value), errors);
    for (size_t i = 0; i < json_array_size(value); i++)
        judge_string(key, json_string_value(json_array_get(value, i)), errors);
}

/* The groups' keys follow each other in the table. */
static int put_key(struct estc_buf *out, size_t i, const json_t *value, const char **open) {
    int rc = 0;
    const char *group = keys[i].group;
    if (group && !*open) {
        rc = put(out, group);
        if (!rc)
            rc = put(out, " = { ");
        *open = group;
    }
    if (!rc)
        rc = put(out, keys[i].key);
    if (!rc)
        rc = put(out, " = ");
    if (!rc)
        rc = put_value(out, value);
    return rc ? rc : put(out, group ? "; " : ";\n");
}

char *request_text(const json_t *params, struct conf_errors *errors) {
    _cleanup(estc_buf_clear) struct estc_buf out = {0};
    const char *open = NULL;
    int rc = put(&out, "# Made by 'estc request'; 'estc forget' ends it.\n");
    for (size_t i = 0; !rc && i < N_KEYS; i++) {
        const json_t *value = json_object_get(params, keys[i].member);
        if (!value || (json_is_array(value) && json_array_size(value) == 0))
            continue;
        judge_value(i, value, errors);
        rc = put_key(&out, i, value, &open);
    }
    if (!rc && open)
        rc = put(&out, "};\n");
    return rc || conf_errors_any(errors) ? NULL : strdup((const char *)out.data);
}
