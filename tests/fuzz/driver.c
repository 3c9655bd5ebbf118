/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target without a fuzzer, the same way each time: every seed as it is, cut short
 * everywhere, and changed in many small ways. Each input lies in memory of exactly its size, so
 * that a sanitizer sees a read beyond it. One line of TAP for each of the three.
 *
 *   fuzz-TARGET NAME SEED-FOLDER...
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>

#define SEED_MAX 65536
#define CUTS_MAX 512       /* of one seed */
#define CHANGES_TOTAL 6000 /* over all seeds */
#define CHANGES_AT_ONCE 4

struct seed {
    uint8_t *data;
    size_t len;
};

struct seeds {
    struct seed *at;
    size_t n;
};

/* A fixed sequence: what failed once fails again. */
static uint64_t dice = UINT64_C(0x9e3779b97f4a7c15);
static size_t roll(size_t below) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return below ? (size_t)(dice % below) : 0;
}

static void run(const uint8_t *data, size_t len) {
    uint8_t *copy = calloc(1, len ? len : 1);
    if (!copy)
        abort();
    if (len)
        memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void read_seed(struct seeds *seeds, const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = name[0] == '.' ? NULL : fopen(path, "rb");
    if (!file)
        return;
    uint8_t *data = malloc(SEED_MAX);
    struct seed *more = realloc(seeds->at, (seeds->n + 1) * sizeof(*more));
    if (!data || !more)
        abort();
    seeds->at = more;
    seeds->at[seeds->n++] = (struct seed){data, fread(data, 1, SEED_MAX, file)};
    fclose(file);
}

static int by_content(const void *a, const void *b) {
    const struct seed *x = a, *y = b;
    size_t least = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->data, y->data, least);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static struct seeds read_seeds(char **folders, int n) {
    struct seeds seeds = {0};
    for (int i = 0; i < n; i++) {
        DIR *dir = opendir(folders[i]);
        for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
            read_seed(&seeds, folders[i], e->d_name);
        if (dir)
            closedir(dir);
    }
    /* Folders have no order of their own. */
    if (seeds.n > 0)
        qsort(seeds.at, seeds.n, sizeof(*seeds.at), by_content);
    return seeds;
}

static void run_whole(const struct seeds *seeds) {
    run((const uint8_t *)"", 0);
    for (size_t i = 0; i < seeds->n; i++)
        run(seeds->at[i].data, seeds->at[i].len);
}

static void run_cut(const struct seeds *seeds) {
    for (size_t i = 0; i < seeds->n; i++) {
        size_t step = seeds->at[i].len / CUTS_MAX + 1;
        for (size_t len = 0; len < seeds->at[i].len; len += step)
            run(seeds->at[i].data, len);
    }
}

/* One small change: a byte, a bit, a piece doubled or removed; never longer than SEED_MAX. */
static void change(uint8_t *data, size_t *len) {
    static const uint8_t telling[] = {0x00, 0x01, 0x30, 0x7f, 0x80, 0x82, 0x84, 0xff, '"', ','};
    size_t at = roll(*len), piece = roll(*len - at) % 32;
    switch (roll(5)) {
    case 0:
        data[at] = (uint8_t)roll(256);
        break;
    case 1:
        data[at] ^= (uint8_t)(1u << roll(8));
        break;
    case 2:
        data[at] = telling[roll(sizeof(telling))];
        break;
    case 3:
        if (*len + piece <= SEED_MAX) {
            memmove(data + at + piece, data + at, *len - at);
            *len += piece;
        }
        break;
    case 4:
        memmove(data + at, data + at + piece, *len - at - piece);
        *len -= piece;
        break;
    }
}

static void run_changed(const struct seeds *seeds) {
    static uint8_t data[SEED_MAX];
    for (size_t i = 0; i < CHANGES_TOTAL && seeds->n > 0; i++) {
        const struct seed *seed = &seeds->at[i % seeds->n];
        size_t len = seed->len;
        memcpy(data, seed->data, len);
        for (size_t n = 1 + roll(CHANGES_AT_ONCE); n > 0 && len > 0; n--)
            change(data, &len);
        run(data, len);
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *what;
        void (*run)(const struct seeds *);
    } parts[] = {{"as_they_are", run_whole}, {"cut_short", run_cut}, {"changed", run_changed}};
    if (argc < 3)
        return 64;
    struct seeds seeds = read_seeds(argv + 2, argc - 2);
    printf("1..3\n");
    for (int i = 0; i < 3; i++) {
        parts[i].run(&seeds);
        printf("%s %d - z01_%s_%s\n", seeds.n > 0 ? "ok" : "not ok", i + 1, argv[1], parts[i].what);
        fflush(stdout);
    }
    for (size_t i = 0; i < seeds.n; i++)
        free(seeds.at[i].data);
    free(seeds.at);
    return 0;
}
