/* Kernels between fences, on QEMU's mps3-an547: what they share with the generated cases. */
#ifndef FENCED_H
#define FENCED_H

#include <stdint.h>

/* Each thing that a kernel may touch lies in its own arena, which is otherwise forbidden by the MPU. */
#define ARENA(index) (0x20010000u + (index) * 0x10000u)
#define ARENA_END(index) (ARENA(index) + 0xF000u)

/* A table ends where its arena's fence begins. */
#define TABLE_AT(index, bytes) (ARENA_END(index) - (bytes))

typedef struct {
    void (*run)(const int8_t *input, int8_t *scratch, int8_t *output);
    uint32_t tables[2], table_bytes[2], contents[2]; /* tables: addresses; contents, images, expected: where in le_data */
    uint32_t images, expected;
    uint32_t count, input_bytes, output_bytes, scratch_bytes;
} le_case;

extern const le_case le_cases[];
extern const uint32_t le_case_count;
extern const uint8_t le_data[];

#endif
