/*-------------------------------------------------------------------------
 *
 * http_failure.c
 *	  Why an HTTPS exchange came to nothing, in plain words.
 *
 * libcurl's own texts name functions and options and change between
 * releases, so its codes are put into words here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/net/internal.h"

/* Why a certificate was not accepted. */
static const char *
describe_distrust(CURL *easy)
{
	long		verify = 0;

	/* The numbers are OpenSSL's, of X509_V_ERR_*. */
	(void) curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	switch (verify)
	{
		case 0:
		case 1:					/* nothing wrong but the name */
			return "the server's certificate is not made out to this address";
		case 9:
			return "the server's certificate is not valid yet";
		case 10:
			return "the server's certificate has expired";
		default:
			return "the server's certificate is not trusted";
	}
}

/*
 * A phrase for an exchange that libcurl gave up, and its kind.
 */
const char *
du_http_describe_failure(CURL *easy, CURLcode code, bool too_large,
						 HttpFailure *failure)
{
	long		error_number = 0;

	*failure = HTTP_UNREACHABLE;
	switch (code)
	{
		case CURLE_OPERATION_TIMEDOUT:
			return "timed out";
		case CURLE_COULDNT_RESOLVE_HOST:
			return "could not resolve the host name";
		case CURLE_COULDNT_CONNECT:
			(void) curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error_number);
			if (error_number == ECONNREFUSED)
				return "connection refused";
			if (error_number == ENETUNREACH || error_number == EHOSTUNREACH)
				return "no route to the host";
			return "could not connect";
		case CURLE_GOT_NOTHING:
		case CURLE_PARTIAL_FILE:
		case CURLE_RECV_ERROR:
		case CURLE_SEND_ERROR:
			return "the connection was closed too early";
		case CURLE_OUT_OF_MEMORY:
			return "out of memory";
		case CURLE_PEER_FAILED_VERIFICATION:
			*failure = HTTP_UNTRUSTED;
			return describe_distrust(easy);
		case CURLE_SSL_CACERT_BADFILE:
			*failure = HTTP_UNTRUSTED;
			return "the CA file cannot be read";
		case CURLE_SSL_CONNECT_ERROR:
			return "the TLS handshake failed";
		case CURLE_WRITE_ERROR:
			if (!too_large)
				return "out of memory";
			*failure = HTTP_TOO_LARGE;
			return "the answer is too large";
		case CURLE_URL_MALFORMAT:
			*failure = HTTP_UNUSABLE;
			return "the address is not valid";
		default:
			*failure = HTTP_UNUSABLE;
			return "the answer is not valid HTTP";
	}
}
