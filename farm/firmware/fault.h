/* A fault of the core: reported once over the console, then the board stops. */
#ifndef FAULT_H
#define FAULT_H

void fault_handler(void);

#endif
