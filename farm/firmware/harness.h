/* The bench harness: starts the board, then answers the host for ever. */
#ifndef HARNESS_H
#define HARNESS_H

__attribute__((noreturn)) void harness_main(void);

#endif
