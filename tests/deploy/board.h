/* The machine in QEMU that stands for a board. */
#ifndef BOARD_H
#define BOARD_H

#ifdef __cplusplus
extern "C" {
#endif

/* To the host. */
void board_print(const char *text);
/* Ends QEMU, with exit status 0 or 1. */
void board_stop(int failed);

#ifdef __cplusplus
}
#endif

#endif
