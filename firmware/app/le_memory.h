/* Where an inference finds its image: apart from its workspace, or in one memory with it on boards with little RAM. */
#ifndef LE_MEMORY_H
#define LE_MEMORY_H

#include "le_board.h"
#include "le_model.h"

/* image: in place it is the memory's own, at LE_IN_PLACE_IMAGE, and is lost. */
#ifdef LE_IN_PLACE
typedef le_in_place le_memory;

static inline void le_run(le_memory *memory, const int8_t *image, int8_t *logits)
{
    (void)image;
    (void)le_infer_in_place(memory, logits);
}

static inline void le_run_step(le_memory *memory, const int8_t *image, int8_t *logits, uint8_t step)
{
    (void)image;
    le_infer_step_in_place(memory, logits, step);
}
#else
typedef le_workspace le_memory;

static inline void le_run(le_memory *memory, const int8_t *image, int8_t *logits)
{
    (void)le_infer_with(memory, image, logits);
}

static inline void le_run_step(le_memory *memory, const int8_t *image, int8_t *logits, uint8_t step)
{
    le_infer_step(memory, image, logits, step);
}
#endif

#endif
