#include "board.h"
#define printk(format, text) board_print(text)
