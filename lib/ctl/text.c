/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interface in Varlink's own notation, from the tables that also drive the dispatcher, so that
 * the description cannot say anything but what the code does. Written to a stream in memory, whose
 * failures (there is one: no memory) are looked at once, at the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"

/* A comment, one "# " line for each line of doc. */
static void put_doc(FILE *out, const char *doc) {
    while (doc && *doc) {
        size_t len = strcspn(doc, "\n");
        fprintf(out, "# %.*s\n", (int)len, doc);
        doc += len + (doc[len] ? 1 : 0);
    }
}

static void put_field(FILE *out, const struct ctl_field *field) {
    static const struct {
        const char *array, *name;
    } words[] = {
        [CTL_STRING] = {"", "string"}, [CTL_INT] = {"", "int"},
        [CTL_BOOL] = {"", "bool"},     [CTL_STRINGS] = {"[]", "string"},
        [CTL_OBJECT] = {"", "object"}, [CTL_OBJECTS] = {"[]", "object"},
    };
    fprintf(out, "%s: %s%s%s", field->name, field->optional ? "?" : "", words[field->type].array,
            field->type_name ? field->type_name : words[field->type].name);
}

/* "(a: string, b: ?int)"; with `lines` one field a line. */
static void put_fields(FILE *out, const struct ctl_field *fields, bool lines) {
    fputs("(", out);
    for (const struct ctl_field *f = fields; f && f->name; f++) {
        fputs(f == fields ? "" : lines ? "," : ", ", out);
        fputs(lines ? "\n  " : "", out);
        put_field(out, f);
    }
    fputs(lines ? "\n)" : ")", out);
}

static void put_interface(FILE *out, const struct ctl_interface *interface) {
    put_doc(out, interface->doc);
    fprintf(out, "interface %s\n", interface->name);
    for (const struct ctl_named_type *t = interface->types; t && t->name; t++) {
        fprintf(out, "\ntype %s ", t->name);
        put_fields(out, t->fields, true);
        fputs("\n", out);
    }
    for (const struct ctl_method *m = interface->methods; m && m->name; m++) {
        fputs("\n", out);
        put_doc(out, m->doc);
        put_doc(out, m->changes ? "Needs the right to change." : NULL);
        put_doc(out, m->more_only ? "Only with 'more'." : NULL);
        fprintf(out, "method %s", m->name);
        put_fields(out, m->in, false);
        fputs(" -> ", out);
        put_fields(out, m->out, false);
        fputs("\n", out);
    }
    for (const struct ctl_error_type *e = interface->errors; e && e->name; e++) {
        fputs("\n", out);
        put_doc(out, e->doc);
        fprintf(out, "error %s ", e->name);
        put_fields(out, e->fields, false);
        fputs("\n", out);
    }
}

char *ctl_interface_text(const struct ctl_interface *interface) {
    _cleanup(freep) char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    put_interface(out, interface);
    int failed = ferror(out);
    if (fclose(out) || failed)
        return NULL;
    return TAKE(text);
}
