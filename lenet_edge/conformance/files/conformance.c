/*
 * Runs the kit's cases through conformance_infer and compares every integer.
 *
 *     cc -std=c99 conformance.c your_runtime.c -o conformance
 *     ./conformance FOLDER [CASE...]
 *
 * FOLDER is the kit's, with cases.txt in it. Prints a line for each case that differs, with the first integer that does:
 * which input, which output, what is right, what came. Ends with 0 if all that ran is right, with 1 if anything
 * differs or failed or nothing ran, with 2 if the kit cannot be read.
 */

#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 128, PATH = 2048 };

typedef struct {
    unsigned long seen;
    int right, wrong, unsupported;
} counts;

static void *read_file(const char *folder, const char *name, const char *file, size_t bytes)
{
    char path[PATH];
    const int length = snprintf(path, sizeof path, "%s/cases/%s/%s", folder, name, file);
    FILE *stream = length > 0 && length < PATH ? fopen(path, "rb") : NULL;
    void *content = stream ? malloc(bytes + 1) : NULL; /* one more, to see that there is no more */
    if (!content || fread(content, 1, bytes + 1, stream) != bytes) {
        fprintf(stderr, "%s cannot be read, or has not %lu bytes\n", path, (unsigned long)bytes);
        exit(2);
    }
    fclose(stream);
    return content;
}

/* How many integers differ; the first is printed. */
static unsigned long compare(
    const char *name, unsigned long input, const int8_t *expected, const int8_t *got, size_t bytes, unsigned long before)
{
    unsigned long differ = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (got[i] != expected[i] && before + differ++ == 0) {
            printf("%s: input %lu, output %lu: expected %d, got %d\n", name, input, (unsigned long)i, expected[i], got[i]);
        }
    }
    return differ;
}

static void run_case(const char *folder, const char *name, unsigned long inputs, size_t in, size_t out, counts *found)
{
    const unsigned long number = found->seen++;
    char paths[3][PATH];
    static const char *const files[3] = {"model.tflite", "model.onnx", "model-qoperator.onnx"};
    for (int i = 0; i < 3; i++) {
        snprintf(paths[i], PATH, "%s/cases/%s/%s", folder, name, files[i]);
    }
    const conformance_case item = {number, name, paths[0], paths[1], paths[2], in, out};
    int8_t *input = read_file(folder, name, "inputs.bin", inputs * in);
    int8_t *expected = read_file(folder, name, "expected.bin", inputs * out);
    int8_t *got = malloc(out);
    unsigned long differ = 0;
    int status = got ? CONFORMANCE_DONE : -1;
    for (unsigned long i = 0; i < inputs && status == CONFORMANCE_DONE; i++) {
        for (size_t k = 0; k < out; k++) {
            got[k] = (int8_t)~expected[i * out + k]; /* what is not written is wrong */
        }
        status = conformance_infer(&item, input + i * in, got);
        if (status == CONFORMANCE_DONE) {
            differ += compare(name, i, expected + i * out, got, out, differ);
        } else if (status != CONFORMANCE_UNSUPPORTED || i) {
            printf("%s: input %lu: failed with %d\n", name, i, status);
            status = -1;
        }
    }
    if (differ) {
        printf("%s: %lu of %lu integers differ\n", name, differ, inputs * (unsigned long)out);
    }
    found->unsupported += status == CONFORMANCE_UNSUPPORTED;
    found->wrong += status == -1 || differ;
    found->right += status == CONFORMANCE_DONE && !differ;
    free(input);
    free(expected);
    free(got);
}

static int is_wanted(const char *name, int count, char **wanted)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(name, wanted[i]) == 0) {
            return 1;
        }
    }
    return count == 0;
}

int main(int count, char **arguments)
{
    char path[PATH], name[NAME];
    unsigned long inputs, in, out;
    counts found = {0, 0, 0, 0};
    if (count < 2) {
        fprintf(stderr, "usage: %s FOLDER [CASE...]\n", arguments[0]);
        return 2;
    }
    snprintf(path, sizeof path, "%s/cases.txt", arguments[1]);
    FILE *list = fopen(path, "r");
    if (!list) {
        fprintf(stderr, "%s cannot be read: is %s the kit's folder?\n", path, arguments[1]);
        return 2;
    }
    int fields;
    while ((fields = fscanf(list, "%127s %lu %lu %lu", name, &inputs, &in, &out)) == 4) {
        if (is_wanted(name, count - 2, arguments + 2)) {
            run_case(arguments[1], name, inputs, in, out, &found);
        }
    }
    fclose(list);
    if (fields != EOF) {
        fprintf(stderr, "%s is damaged\n", path);
        return 2;
    }
    printf("%d cases right, %d wrong, %d not supported\n", found.right, found.wrong, found.unsupported);
    return found.wrong || !found.right;
}
