package jt808
