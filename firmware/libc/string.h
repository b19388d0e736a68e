/* The two functions of the C library that the firmware uses, and that compilers call by themselves. */
#ifndef LE_STRING_H
#define LE_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

#endif
