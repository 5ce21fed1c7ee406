#!/usr/bin/env python3
"""Writes tokens.tsv and requests.tsv with Amazon's own signers, for fixed times and credentials.

    pip install --target packages aws-msk-iam-sasl-signer-python==1.0.2 botocore==1.43.11
    PYTHONPATH=packages python3 make.py

A line of tokens.tsv: seconds since 1970, region, access key id, secret, session token ("-" for none), user agent, and
the token that aws-msk-iam-sasl-signer-python makes of them.

A line of requests.tsv: seconds, region, access key id, secret, session token, endpoint, body, and the header
Authorization that botocore signs for a POST to STS.
"""

import datetime
from pathlib import Path

import aws_msk_iam_sasl_signer.MSKAuthTokenProvider as signer
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import CredentialProvider, Credentials

TIMES = [0, 951782399, 1700000000, 1709164800, 4102444799]
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-4", "cn-north-1", "us-gov-west-1"]
KEYS = [
    ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    ("ASIA0123456789ABCDEF", "/+=/+=/+=/+=/+=/+=/+=/+=/+=/+=/+=/+=/+=/"),
    ("odd~key_id.-", "a b%2F&c?d#e~f*g'h(i)!@$,;:[]{}|\\\"^`<>\u00fc\u20ac"),
]
SESSIONS = [
    None,
    "AQoDYXdzEJr//////////wEaoAK1wvxJY12r2IrDFT2IvAzTCn3zHoZ7YNtpiQLF0MqZye/qwjzP2iEXAMPLEbw==",
    "IQoJb3JpZ2luX2VjE~-_.%2F+ &=?#:;,!*'()[]@$\u00fc\u20ac" + "A" * 200,
]
ENDPOINTS = ["https://sts.eu-central-1.amazonaws.com/", "http://127.0.0.1:4566/"]
BODY = "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmsk&RoleSessionName=x&Version=2011-06-15"


class Given(CredentialProvider):
    def __init__(self, *given):
        super().__init__()
        self.given = given

    def load(self):
        return Credentials(*self.given)


def at(seconds):
    now = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    botocore.auth.get_current_datetime = lambda: now


def cases():
    for number, seconds in enumerate(TIMES):
        for key_id, secret in KEYS:
            for session in SESSIONS:
                # Each region occurs with each kind of key and session.
                for region in REGIONS if number == 2 else [REGIONS[number]]:
                    at(seconds)
                    yield [str(seconds), region, key_id, secret, session]


def write(name, lines):
    text = "".join("\t".join(line) + "\n" for line in lines)
    Path(__file__).with_name(name).write_text(text, encoding="utf-8")


def tokens():
    for case in cases():
        token, _ = signer.generate_auth_token_from_credentials_provider(case[1], Given(*case[2:]))
        yield case[:4] + [case[4] or "-", signer.__get_user_agent__(), token]


def requests():
    for case in cases():
        session = case[4]
        if session is not None and not session.isascii():
            continue  # A header has no such characters.
        for endpoint in ENDPOINTS:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            request = AWSRequest("POST", endpoint, headers=headers, data=BODY.encode())
            signing = botocore.auth.SigV4Auth(Credentials(*case[2:]), "sts", case[1])
            signing.add_auth(request)
            yield case[:4] + [session or "-", endpoint, BODY, request.headers["Authorization"]]


write("tokens.tsv", tokens())
write("requests.tsv", requests())
