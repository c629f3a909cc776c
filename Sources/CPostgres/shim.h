/* libpq as Swift sees it. Written for 15, which Debian 12 has. */
#ifndef UNDERSTUDY_CPOSTGRES_SHIM_H
#define UNDERSTUDY_CPOSTGRES_SHIM_H

#include <libpq-fe.h>

#endif
