/* SPDX-License-Identifier: BSD-2-Clause */
/* The method that takes a new birth credential or trust: as descriptors, which go on to a worker
 * unread. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "bootstrap.h"
#include "control_internal.h"

static void unfit(struct ctl_call *call, const char *parameter) {
    ctl_call_error(call, "org.varlink.service.InvalidParameter",
                   json_pack("{s:s}", "parameter", parameter));
}

static int file_of(const char *name) {
    int i = 0;
    while (bootstrap_file_names[i] && strcmp(bootstrap_file_names[i], name) != 0)
        i++;
    return bootstrap_file_names[i] ? i : -1;
}

/* One descriptor for each name, each name once. */
static bool take_files(struct ctl_call *call, const json_t *names, struct bootstrap_offer *offer) {
    for (size_t i = 0; i < json_array_size(names); i++) {
        int file = file_of(json_string_value(json_array_get(names, i)));
        if (file < 0 || offer->files[file] >= 0)
            return false;
        offer->files[file] = ctl_call_take_fd(call, i);
        if (offer->files[file] < 0)
            return false;
    }
    return true;
}

void control_bootstrap(struct ctl_call *call, json_t *params, void *arg) {
    struct control *control = arg;
    const json_t *names = json_object_get(params, "files");
    struct bootstrap_offer offer = {
        .files = {-1, -1, -1},
        .fingerprint = json_string_value(json_object_get(params, "fingerprint")),
        .reset = json_is_true(json_object_get(params, "reset")),
    };
    bool fit = take_files(call, names, &offer);
    bool brings = json_array_size(names) > 0 || offer.fingerprint;
    bool two = offer.fingerprint && offer.files[BOOTSTRAP_TRUST] >= 0;
    if (!fit)
        unfit(call, "files");
    else if (brings == offer.reset)
        unfit(call, "reset");
    else if (two)
        unfit(call, "fingerprint");
    else
        control_ask_with(control, call, params, &offer);
    for (int i = 0; i < BOOTSTRAP_FILE_MAX_; i++)
        fs_closep(&offer.files[i]);
}
