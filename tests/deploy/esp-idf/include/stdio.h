/* As much of the C library as main.c uses. */
#include "board.h"
#define printf(format, text) board_print(text)
