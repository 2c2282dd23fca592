// Answers may come in another order than they were asked for: only that to the last question counts.

// Gives a function to call with each question; what that gives says whether its question is the last one yet.
export function latest() {
  let asked = 0;
  return () => {
    asked += 1;
    const number = asked;
    return () => number === asked;
  };
}
