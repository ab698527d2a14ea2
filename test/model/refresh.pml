/*
 * The refresh protocol of one login session: claim, presentation, reply, loss, recovery and logout, on several replicas
 * over one store, in front of a strict authorization server (a consumed refresh token that comes again kills the family).
 *
 * What one atomic step does here is one compare-and-set of the store, or one answer of the authorization server. Between
 * any two of them everything else may happen: a replica is killed or frozen, a request or a reply is lost, the user signs
 * out. The one assumption about time: a request that has not arrived by its attempt's deadline never arrives, since the
 * connection is closed then.
 *
 * INTROSPECTION: the authorization server's introspection is trusted. Without it the token is presented a last time.
 */
#ifndef REPLICAS
#define REPLICAS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 4
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef LOSSES
#define LOSSES 2
#endif

mtype = { live, refreshing, uncertain, login_required, ended };
mtype = { rotated, grant_dead, broken };

/* The record. Refresh tokens are numbers; each rotation gives the next one. */
mtype state = live;
byte token = 0;
bool lostReply = false;         /* the reason of login_required: the reply to this very token was lost */
byte attempts = 0;              /* a bit for each attempt that is not settled */
byte newest = 0;                /* the newest attempt's id */
bool deadlinePassed = true;     /* the newest attempt's */
byte made = 0;

/* The authorization server. */
byte current = 0;
bool familyDead = false;

/* What the properties speak of. */
bool reuse = false;
bool replyReachedNobody = false;
bool unread = false;            /* a reply with a new refresh token is on its way to its process, or in it */
bool late = false;              /* such a reply was still not stored at its deadline: that process is frozen */

byte kills = 0;
byte losses = 0;

chan request = [REPLICAS] of { byte, byte };            /* attempt, refresh token */
chan reply[8] = [1] of { mtype, byte };                 /* by attempt */

#define bit(attempt) (1 << (attempt))
#define holds(attempt) ((attempts & bit(attempt)) != 0)
#define serves (state == live || state == refreshing || state == uncertain)

proctype Replica() {
  byte mine = 0;          /* the attempt whose answer is awaited; 0: none */
  byte presented = 0;
  byte looked = 0;        /* the newest attempt when introspection said "active"; 0: not asked */
  byte brought = 0;

idle:
  do
  :: atomic { state == live && made < ATTEMPTS ->
       made++; newest = made; attempts = bit(newest); deadlinePassed = false; state = refreshing;
       mine = newest; presented = token; looked = 0 };
     goto claimed
  :: atomic { state == refreshing && deadlinePassed -> state = uncertain }
#ifdef INTROSPECTION
  :: atomic { state == uncertain && deadlinePassed ->
       if
       :: !familyDead && token == current -> looked = newest
       :: else -> looked = 0; state = login_required; lostReply = true
       fi }
  :: atomic { state == uncertain && looked == newest && looked != 0 && made < ATTEMPTS ->
       made++; newest = made; attempts = attempts | bit(newest); deadlinePassed = false; state = refreshing;
       mine = newest; presented = token; looked = 0 };
     goto claimed
#else
  :: atomic { state == uncertain && deadlinePassed && made < ATTEMPTS ->
       made++; newest = made; attempts = attempts | bit(newest); deadlinePassed = false; state = refreshing;
       mine = newest; presented = token };
     goto claimed
#endif
  :: goto rest
  od;

claimed:
  atomic {
    if
    :: kills < KILLS -> kills++; mine = 0; goto idle
    :: newest != mine || deadlinePassed -> goto notSent
    :: newest == mine && !deadlinePassed ->
         /* I1: one presentation of a refresh token at a time. A late reply that is adopted brings another one. */
         assert(len(request) == 0 || late);
         assert(mine <= made);                          /* I2: its intent was committed before */
         request ! mine, presented; goto waiting
    fi
  };

notSent:
  atomic {
    if
    :: (state == refreshing || state == uncertain) && holds(mine) ->
         attempts = attempts & ~bit(mine);
         if
         :: attempts == 0 -> state = live
         :: else -> state = uncertain
         fi
    :: else
    fi;
    mine = 0
  };
  goto idle;

waiting:
  if
  :: reply[mine] ? rotated(brought) -> goto arrived
  :: reply[mine] ? grant_dead(_) -> goto refused
  :: reply[mine] ? broken(_) ->
       atomic {
         if
         :: state == refreshing && newest == mine -> state = uncertain
         :: else
         fi;
         mine = 0
       };
       goto idle
  :: atomic { kills < KILLS -> kills++ };
     goto killed
  fi;

arrived: /* the reply is in this process, and not stored yet */
  atomic {
    if
    :: kills < KILLS -> kills++; replyReachedNobody = true; unread = false; mine = 0; goto idle
    :: state == ended -> familyDead = true                              /* I4: revoked */
    :: serves && holds(mine) && token == presented ->
         assert(brought > token);                                       /* I3 */
         token = brought; attempts = 0; state = live
    :: state == login_required && lostReply && holds(mine) && token == presented ->
         token = brought; attempts = 0; state = live; lostReply = false
    :: else ->
         assert(token >= brought || familyDead)                         /* I4: only a reply that is superseded is dropped */
    fi;
    mine = 0; brought = 0; unread = false
  };
  goto idle;

refused:
  atomic {
    if
    :: serves && token == presented -> state = login_required; lostReply = (attempts != bit(mine)); attempts = 0   /* I9 */
    :: else
    fi;
    mine = 0
  };
  goto idle;

killed: /* nobody reads the answer any more */
  atomic {
    if
    :: reply[mine] ? rotated(_) -> replyReachedNobody = true; unread = false
    :: reply[mine] ? grant_dead(_)
    :: reply[mine] ? broken(_)
    :: empty(reply[mine]) && deadlinePassed && newest == mine
    fi;
    mine = 0
  };
  goto idle;

rest:
  skip
}

/* A request or its reply may be lost on the way: the replica sees its connection break. */
proctype AuthorizationServer() {
  byte attempt, shown;
end:
  do
  :: atomic { request ? attempt, shown ->
       if
       :: losses < LOSSES -> losses++; reply[attempt] ! broken(0)                                /* before it arrived */
       :: familyDead -> reply[attempt] ! grant_dead(0)
       :: !familyDead && shown == current ->
            current++;
            if
            :: reply[attempt] ! rotated(current); unread = true
            :: losses < LOSSES -> losses++; replyReachedNobody = true; reply[attempt] ! broken(0)  /* after the rotation */
            fi
       :: !familyDead && shown != current -> reuse = true; familyDead = true; reply[attempt] ! grant_dead(0)
       fi }
  od
}

/* The deadline of the newest attempt: no request is on its way any more. */
proctype Deadline() {
end:
  do
  :: atomic { !deadlinePassed && empty(request) -> deadlinePassed = true; late = late || unread }
  od
}

proctype User() {
  if
  :: atomic { state != ended -> state = ended; attempts = 0; lostReply = false };
     atomic { familyDead = true }                       /* the debt is paid */
  :: skip
  fi
}

/* Once nothing moves any more. */
proctype Judge() {
  timeout ->
#ifdef INTROSPECTION
    assert(state != login_required || replyReachedNobody);   /* no login is lost without cause */
    assert(state != live || familyDead || token == current)  /* and what lives can be refreshed */
#else
    assert(state != login_required || replyReachedNobody || late)
#endif
}

ltl no_reuse { [] !reuse }
#ifndef INTROSPECTION
/* The last presentation gambles: it kills a family only where the reply was lost, or held by a process that stands still. */
ltl reuse_only_of_what_was_lost { [] (reuse -> (replyReachedNobody || late)) }
#endif
ltl ended_is_final { [] ((state == ended) -> [] (state == ended)) }

init {
  atomic {
    byte replica = 0;
    do
    :: replica < REPLICAS -> run Replica(); replica++
    :: else -> break
    od;
    run AuthorizationServer();
    run Deadline();
    run User();
    run Judge()
  }
}
